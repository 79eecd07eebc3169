// Records of /dev/kmsg (Documentation/ABI/testing/dev-kmsg):
// `prefix,sequence,microseconds,flags[,…];text`, then lines that begin with a blank and say
// KEY=value. Bytes that are not printable come as \xNN. The time is the kernel's clock since boot:
// whoever feeds the lines (kmsg_reader.cc) makes UTC of it.
#include "agent/logs/log_parser.h"
#include "common/clock.h"
#include "common/text.h"

namespace faultline {
namespace {

constexpr size_t kMaxAttributes = 16;

v1::Severity SeverityOf(uint64_t prefix) {
  switch (prefix & 7) {  // the low three bits are the level, the rest the facility
    case 0:
    case 1:
    case 2:
      return v1::SEVERITY_FATAL;
    case 3:
      return v1::SEVERITY_ERROR;
    case 4:
      return v1::SEVERITY_WARN;
    case 7:
      return v1::SEVERITY_DEBUG;
    default:
      return v1::SEVERITY_INFO;
  }
}

std::string Unescape(std::string_view text) {
  std::string plain;
  plain.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && text.substr(i + 1).starts_with('x') && i + 3 < text.size()) {
      if (const auto byte = ParseUint(text.substr(i + 2, 2), 16)) {
        plain += static_cast<char>(*byte);
        i += 3;
        continue;
      }
    }
    plain += text[i];
  }
  return plain;
}

class KmsgParser final : public LogParser {
 public:
  explicit KmsgParser(uint32_t max_record_bytes) : max_record_bytes_(max_record_bytes) {}

  ParsedLine Feed(const LogLine& line) override {
    std::string_view rest = line.text;
    std::string_view first;
    NextLine(rest, first);
    const size_t semicolon = first.find(';');
    const auto fields = Split(first.substr(0, semicolon), ',');
    ParsedLine parsed{.ready = true};
    parsed.record.offset = line.offset;
    const auto prefix = ParseUint(fields[0]);
    const auto microseconds = fields.size() >= 3 ? ParseUint(fields[2]) : std::nullopt;
    if (semicolon == std::string_view::npos || !prefix || !microseconds ||
        *microseconds > uint64_t{INT64_MAX} / 1000) {
      parsed.malformed = true;
      Keep(line.text, parsed);
      return parsed;
    }
    parsed.record.time_unix_ns = static_cast<int64_t>(*microseconds) * 1000;
    parsed.record.severity = SeverityOf(*prefix);
    Keep(Unescape(first.substr(semicolon + 1)), parsed);
    std::string_view more;
    while (NextLine(rest, more) && parsed.record.attributes.size() < kMaxAttributes) {
      if (!more.starts_with(' ')) continue;
      const size_t equals = more.find('=');
      if (equals == std::string_view::npos) continue;
      parsed.record.attributes.emplace_back(more.substr(1, equals - 1),
                                            Unescape(more.substr(equals + 1)));
    }
    return parsed;
  }

 private:
  void Keep(std::string_view text, ParsedLine& parsed) const {
    parsed.record.body = text.substr(0, max_record_bytes_);
    parsed.cut_bytes = text.size() - parsed.record.body.size();
  }

  const uint32_t max_record_bytes_;
};

}  // namespace

std::unique_ptr<LogParser> MakeKmsgParser(uint32_t max_record_bytes) {
  return std::make_unique<KmsgParser>(max_record_bytes);
}

}  // namespace faultline
