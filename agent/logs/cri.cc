// The format of container runtimes under Kubernetes: `<RFC3339Nano> <stdout|stderr> <P|F>[:tag…]
// <message>`. P is a piece of a longer record that the next F of the same stream ends; stdout and
// stderr may interleave between the pieces.
#include "agent/logs/partial_record.h"
#include "common/text.h"

namespace faultline {
namespace {

class CriParser final : public LogParser {
 public:
  explicit CriParser(uint32_t max_record_bytes) : out_(max_record_bytes), err_(max_record_bytes) {}

  ParsedLine Feed(const LogLine& line) override {
    std::string_view rest = line.text;
    const auto time = ParseTime(TakeField(rest));
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

  PartialRecord out_;
  PartialRecord err_;
};

}  // namespace

std::unique_ptr<LogParser> MakeCriParser(uint32_t max_record_bytes) {
  return std::make_unique<CriParser>(max_record_bytes);
}

}  // namespace faultline
