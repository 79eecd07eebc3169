// Many patterns, one pass: which of the rules does a text match? RE2 syntax; the time of a pass
// grows with the text and not with the number of rules. A set whose automaton would outgrow its
// memory bound matches rule by rule instead: slower, never wrong.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/result.h"

namespace faultline {

class LogRuleSet {
 public:
  struct Options {
    // The match must end where the text ends, as node-problem-detector wants it.
    bool at_end = false;
    size_t max_bytes = size_t{8} << 20;  // of the automaton
  };

  // An error names the pattern that is none, by its place in `patterns`.
  static Result<LogRuleSet> Compile(std::span<const std::string> patterns, Options options);
  static Result<LogRuleSet> Compile(std::span<const std::string> patterns) {
    return Compile(patterns, Options());
  }

  LogRuleSet(LogRuleSet&&) noexcept;
  LogRuleSet& operator=(LogRuleSet&&) noexcept;
  ~LogRuleSet();

  size_t size() const;
  // Places in `patterns` of those that `text` matches, ascending, into `hits`. True: there are any.
  bool Match(std::string_view text, std::vector<int>& hits) const;
  // What the groups of pattern `rule` matched; empty if it does not match. Group 0 is the match.
  std::vector<std::string_view> Groups(size_t rule, std::string_view text) const;

 private:
  struct Impl;
  explicit LogRuleSet(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace faultline
