// Which names to leave out: a regular expression (RE2) whose answers are remembered, since devices
// and mount points are the same on every pass. Not thread-safe.
#pragma once

#include <memory>
#include <string_view>

#include "common/result.h"

namespace faultline {

class NameFilter {
 public:
  // An empty pattern matches nothing. kInvalidArgument says what is wrong with the pattern.
  static Result<NameFilter> Create(std::string_view pattern);
  NameFilter(NameFilter&&) noexcept;
  NameFilter& operator=(NameFilter&&) noexcept;
  ~NameFilter();

  // True when the pattern matches somewhere in `name`.
  bool Matches(std::string_view name);

 private:
  NameFilter();
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace faultline
