#include "agent/logs/line_joiner.h"

#include <re2/re2.h>

#include <utility>

#include "common/text.h"

namespace faultline {
namespace {

bool IsIndented(std::string_view line) {
  return !line.empty() && (line.front() == ' ' || line.front() == '\t');
}

// `\tat com.x.Y(Z.java:1)`, `Caused by: …`, `\t... 12 more`, `Suppressed: …`.
bool JavaContinues(std::string_view line, int&) {
  return IsIndented(line) || line.starts_with("Caused by:") || line.starts_with("... ") ||
         line.starts_with("Suppressed:");
}

// `Traceback (most recent call last):`, indented frames, then one line that names the exception;
// chained ones follow behind an empty line and a sentence.
bool PythonContinues(std::string_view line, int& state) {
  enum { kOutside, kInFrames, kNamed, kBetween };
  if (line.starts_with("Traceback (most recent call last)")) {
    state = kInFrames;
    return true;  // to the line that reports it
  }
  switch (state) {
    case kInFrames:
      if (!IsIndented(line)) state = kNamed;
      return true;
    case kNamed:
      if (IsIndented(line)) return true;
      if (line.empty()) {
        state = kBetween;
        return true;
      }
      return false;
    case kBetween:
      return line.empty() || line.starts_with("During handling of the above exception") ||
             line.starts_with("The above exception was the direct cause");
    default:
      return IsIndented(line);
  }
}

// `panic: …` or `fatal error: …`, then goroutines: `goroutine 1 [running]:`, `main.f(…)`,
// `\t/x.go:1`.
bool GoContinues(std::string_view line, int& state) {
  enum { kOutside, kInPanic };
  if (state == kInPanic) {
    return line.empty() || IsIndented(line) || line.starts_with("goroutine ") ||
           line.starts_with("[signal ") || line.starts_with("created by ") ||
           line.starts_with("exit status ") || line.ends_with(')');
  }
  return IsIndented(line);
}

bool GoBegins(std::string_view line) {
  return line.starts_with("panic: ") || line.starts_with("fatal error: ");
}

}  // namespace

Result<JoinRule> FindJoinRule(std::string_view name) {
  if (name == "java") return JoinRule(JavaContinues);
  if (name == "python") return JoinRule(PythonContinues);
  if (name == "go") {
    return JoinRule([](std::string_view line, int& state) {
      if (GoBegins(line)) {
        state = 1;
        return false;
      }
      if (GoContinues(line, state)) return true;
      state = 0;
      return false;
    });
  }
  return Fail(ErrorCode::kInvalidArgument, "multiline: `{}` is none of java, python, go", name);
}

Result<JoinRule> StartPatternRule(const std::string& pattern) {
  RE2::Options options;
  options.set_log_errors(false);
  options.set_encoding(RE2::Options::EncodingLatin1);
  auto start = std::make_shared<const RE2>(pattern, options);
  if (!start->ok()) {
    return Fail(ErrorCode::kInvalidArgument, "multiline_start: `{}`: {}", pattern, start->error());
  }
  return JoinRule([start](std::string_view line, int&) {
    return !RE2::PartialMatch(re2::StringPiece(line.data(), line.size()), *start);
  });
}

std::optional<ParsedLine> LineJoiner::Feed(ParsedLine&& line) {
  const std::string_view text = line.record.body;
  int state = open_ ? state_ : 0;
  const bool continues = rule_(text, state);
  const bool fits =
      open_ && lines_ < kMaxLines && open_->record.body.size() + 1 + text.size() <= max_bytes_;
  if (continues && fits && !line.malformed) {
    state_ = state;
    open_->record.body += '\n';
    open_->record.body += text;
    open_->cut_bytes += line.cut_bytes;
    ++lines_;
    return std::nullopt;
  }
  std::optional<ParsedLine> ended = std::exchange(open_, std::nullopt);
  // A record begins; what kind of lines may follow, the rule says of it alone.
  state_ = 0;
  rule_(text, state_);
  lines_ = 1;
  open_ = std::move(line);
  return ended;
}

}  // namespace faultline
