// The format of container runtimes under Kubernetes: `<RFC3339Nano> <stdout|stderr> <P|F>[:tag…]
// <message>`. P is a piece of a longer record that the next F of the same stream ends; stdout and
// stderr may interleave between the pieces.
#include "agent/logs/partial_record.h"
#include "common/text.h"

namespace faultline {
namespace {

class CriParser final : public LogParser {
 public:
  explicit CriParser(uint32_t max_record_bytes)
      : max_record_bytes_(max_record_bytes), out_(max_record_bytes), err_(max_record_bytes) {}

  ParsedLine Feed(const LogLine& line) override {
    std::string_view rest = line.text;
    const auto time = TimeOf(TakeField(rest));
    const std::string_view stream = TakeField(rest);
    const std::string_view tags = TakeField(rest);
    const bool is_out = stream == ParsedLine::kStdout;
    const bool partial = tags == "P" || tags.starts_with("P:");
    const bool full = tags == "F" || tags.starts_with("F:");
    if (!time || (!is_out && stream != ParsedLine::kStderr) || (!partial && !full)) {
      ParsedLine as_it_stands{.ready = true, .malformed = true};
      as_it_stands.record.body = line.text;
      as_it_stands.record.offset = line.offset;
      return as_it_stands;
    }
    PartialRecord& record = is_out ? out_ : err_;
    if (full && !record.open() && rest.size() <= max_record_bytes_) {  // nearly all
      ParsedLine whole{.ready = true};
      whole.record.time_unix_ns = *time;
      whole.record.body = rest;
      whole.record.offset = line.offset;
      whole.stream = is_out ? ParsedLine::kStdout : ParsedLine::kStderr;
      return whole;
    }
    record.Append(rest, *time, line.offset);
    return full ? record.Finish(is_out ? ParsedLine::kStdout : ParsedLine::kStderr) : ParsedLine{};
  }

  std::optional<uint64_t> unfinished(std::string_view stream) const override {
    if (stream == ParsedLine::kStdout) return out_.offset();
    if (stream == ParsedLine::kStderr) return err_.offset();
    return std::nullopt;
  }

  std::vector<ParsedLine> Flush() override {
    std::vector<ParsedLine> last;
    if (out_.open()) last.push_back(out_.Finish(ParsedLine::kStdout));
    if (err_.open()) last.push_back(err_.Finish(ParsedLine::kStderr));
    return last;
  }

 private:
  // Up to the next blank, which is taken as well; an empty message has none behind its tag.
  static std::string_view TakeField(std::string_view& text) {
    const size_t blank = text.find(' ');
    const std::string_view field = text.substr(0, blank);
    text.remove_prefix(blank == std::string_view::npos ? text.size() : blank + 1);
    return field;
  }

  // `2026-11-20T12:00:00.123456789Z`: what is before the fraction changes once a second only.
  std::optional<int64_t> TimeOf(std::string_view text) {
    constexpr size_t kSecondBytes = 19, kWholeBytes = 30;
    constexpr int64_t kNsPerSecond = 1'000'000'000;
    if (text.size() != kWholeBytes || text.substr(0, kSecondBytes) != second_text_ ||
        text[kSecondBytes] != '.' || text.back() != 'Z') {
      const auto time = ParseTime(text);
      if (time && *time >= 0 && text.size() == kWholeBytes && text.back() == 'Z') {
        second_text_ = text.substr(0, kSecondBytes);
        second_ns_ = *time - *time % kNsPerSecond;
      }
      return time;
    }
    int64_t fraction_ns = 0;
    for (const char c : text.substr(kSecondBytes + 1, 9)) {
      if (c < '0' || c > '9') return std::nullopt;
      fraction_ns = fraction_ns * 10 + (c - '0');
    }
    return second_ns_ + fraction_ns;
  }

  const uint32_t max_record_bytes_;
  std::string second_text_;
  int64_t second_ns_ = 0;
  PartialRecord out_;
  PartialRecord err_;
};

}  // namespace

std::unique_ptr<LogParser> MakeCriParser(uint32_t max_record_bytes) {
  return std::make_unique<CriParser>(max_record_bytes);
}

}  // namespace faultline
