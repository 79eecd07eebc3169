// Any text file: a line is a record, its time is when it was read.
#include "agent/logs/log_parser.h"

namespace faultline {
namespace {

class PlainParser final : public LogParser {
 public:
  explicit PlainParser(uint32_t max_record_bytes) : max_record_bytes_(max_record_bytes) {}

  ParsedLine Feed(const LogLine& line) override {
    ParsedLine parsed{.ready = true};
    parsed.record.body = line.text.substr(0, max_record_bytes_);
    parsed.record.offset = line.offset;
    parsed.cut_bytes = line.text.size() - parsed.record.body.size();
    return parsed;
  }

 private:
  const uint32_t max_record_bytes_;
};

}  // namespace

std::unique_ptr<LogParser> MakePlainParser(uint32_t max_record_bytes) {
  return std::make_unique<PlainParser>(max_record_bytes);
}

}  // namespace faultline
