// One object a line, as most structured loggers write: {"level":"error","ts":1795…,"msg":"…"}. Only
// members of the object itself are looked at, and of those only what TakeTextField knows.
#include "agent/logs/json_scanner.h"
#include "agent/logs/text_fields.h"
#include "agent/logs/text_parser.h"

namespace faultline {
namespace {

constexpr size_t kMaxMembers = 256;

class JsonText final : public TextParser {
 public:
  bool Parse(LogChunk::Record& record, int64_t) const override {
    LogChunk::Record found;
    found.time_unix_ns = record.time_unix_ns;
    JsonScanner json(record.body);
    if (!json.Take('{')) return false;
    std::string key, text;
    size_t members = 0;
    if (!json.Take('}')) {
      do {
        if (!json.TakeString(key) || !json.Take(':') || ++members > kMaxMembers) return false;
        std::string_view raw;
        if (json.NextIsString() ? !json.TakeString(text) : !json.TakeRaw(raw)) return false;
        TakeTextField(key, raw.empty() ? std::string_view(text) : raw, found);
      } while (json.Take(','));
      if (!json.Take('}')) return false;
    }
    if (!json.AtEnd()) return false;
    record.severity = found.severity;
    record.time_unix_ns = found.time_unix_ns;
    for (auto& attribute : found.attributes) record.attributes.push_back(std::move(attribute));
    return true;
  }
};

}  // namespace

std::unique_ptr<TextParser> MakeJsonText() { return std::make_unique<JsonText>(); }

}  // namespace faultline
