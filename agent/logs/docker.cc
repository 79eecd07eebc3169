// Docker's json-file: one object a line, {"log":"text\n","stream":"stdout","time":"…","attrs":{…}}.
// A text without final newline is a piece of a longer record of its stream. Members come in any
// order, unknown ones are skipped whatever they hold.
#include "agent/logs/json_scanner.h"
#include "agent/logs/partial_record.h"
#include "common/text.h"

namespace faultline {
namespace {

class DockerParser final : public LogParser {
 public:
  explicit DockerParser(uint32_t max_record_bytes)
      : out_(max_record_bytes), err_(max_record_bytes) {}

  ParsedLine Feed(const LogLine& line) override {
    bool has_log = false;
    if (!Scan(line.text, has_log) || !has_log) {
      ParsedLine as_it_stands{.ready = true, .malformed = true};
      as_it_stands.record.body = line.text;
      as_it_stands.record.offset = line.offset;
      return as_it_stands;
    }
    const bool is_err = stream_ == ParsedLine::kStderr;
    const bool full = log_.ends_with('\n');
    if (full) log_.pop_back();
    PartialRecord& record = is_err ? err_ : out_;
    record.Append(log_, ParseTime(time_).value_or(0), line.offset);
    return full ? record.Finish(is_err ? ParsedLine::kStderr : ParsedLine::kStdout) : ParsedLine{};
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
  bool Scan(std::string_view text, bool& has_log) {
    JsonScanner json(text);
    stream_.clear();
    time_.clear();
    if (!json.Take('{')) return false;
    do {
      if (!json.TakeString(key_) || !json.Take(':')) return false;
      if (key_ == "log") {
        has_log = true;
        if (!json.TakeString(log_)) return false;
      } else if (key_ == "stream") {
        if (!json.TakeString(stream_)) return false;
      } else if (key_ == "time") {
        if (!json.TakeString(time_)) return false;
      } else if (!json.SkipValue()) {
        return false;
      }
    } while (json.Take(','));
    return json.Take('}') && json.AtEnd();
  }

  std::string key_, log_, stream_, time_;  // kept for their capacity
  PartialRecord out_;
  PartialRecord err_;
};

}  // namespace

std::unique_ptr<LogParser> MakeDockerParser(uint32_t max_record_bytes) {
  return std::make_unique<DockerParser>(max_record_bytes);
}

}  // namespace faultline
