// Stack traces are many lines and one record: joins the lines of one stream by a rule. Bounded in
// bytes and lines; what is beyond begins a record of its own. One per stream of a file.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "agent/logs/log_parser.h"
#include "common/result.h"

namespace faultline {

// Whether a line belongs to the record before it. `state` is the rule's own, 0 where a record
// begins.
using JoinRule = std::function<bool(std::string_view line, int& state)>;

// java, python, go.
Result<JoinRule> FindJoinRule(std::string_view name);
// A line that matches the pattern (RE2) begins a record.
Result<JoinRule> StartPatternRule(const std::string& pattern);

class LineJoiner {
 public:
  LineJoiner(JoinRule rule, size_t max_bytes) : rule_(std::move(rule)), max_bytes_(max_bytes) {}

  // Gives back the record that this line has ended, if any; the line waits for what follows it.
  std::optional<ParsedLine> Feed(ParsedLine&& line);
  // What waits is all there will be.
  std::optional<ParsedLine> Flush() { return std::exchange(open_, std::nullopt); }
  bool waits() const { return open_.has_value(); }
  std::optional<uint64_t> offset() const {
    return open_ ? std::optional(open_->record.offset) : std::nullopt;
  }

 private:
  static constexpr int kMaxLines = 1000;

  const JoinRule rule_;
  const size_t max_bytes_;
  std::optional<ParsedLine> open_;
  int state_ = 0;
  int lines_ = 0;
};

}  // namespace faultline
