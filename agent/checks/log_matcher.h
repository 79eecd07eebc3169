// Patterns over one stream of lines. All patterns that look at one line are searched at once
// (RE2::Set), so that a flood of lines costs one scan each; those that may span lines are tried on
// the joined last lines. As in node-problem-detector a pattern must match up to the end of what was
// read.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "agent/checks/rule.h"
#include "common/result.h"

namespace re2 {
class RE2;
}

namespace faultline {

class LogMatcher {
 public:
  // `monitors` outlive the matcher; all of one stream.
  static Result<std::unique_ptr<LogMatcher>> Create(std::vector<const LogMonitor*> monitors);
  ~LogMatcher();

  using Matched = std::function<void(const LogMonitor&, const LogRule&, std::string_view text)>;
  void Feed(std::string_view line, const Matched& matched);

 private:
  struct Impl;
  explicit LogMatcher(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace faultline
