// Kubernetes' components: `E1120 12:00:00.123456   4711 kubelet.go:1234] message`. No year, no
// zone.
#include "agent/logs/severity.h"
#include "agent/logs/text_fields.h"
#include "agent/logs/text_parser.h"
#include "common/text.h"

namespace faultline {
namespace {

class KlogText final : public TextParser {
 public:
  bool Parse(LogChunk::Record& record, int64_t now_unix_ns) const override {
    std::string_view rest = record.body;
    const v1::Severity severity = SeverityOfKlog(rest);
    if (severity == v1::SEVERITY_UNSPECIFIED) return false;
    const std::string_view date = NextWord(rest);
    const std::string_view clock = NextWord(rest);
    const std::string_view thread = NextWord(rest);
    const std::string_view place = NextWord(rest);
    if (!ParseUint(thread) || !place.ends_with(']')) return false;
    const auto month = ParseUint(date.substr(1, 2)), day = ParseUint(date.substr(3, 2));
    const auto time = TimeWithoutYear(static_cast<int>(month.value_or(0)),
                                      static_cast<int>(day.value_or(0)), clock, now_unix_ns);
    if (!time) return false;
    // Into the record last: the views are of its own text.
    const size_t colon = place.rfind(':');
    std::string thread_id(thread), file(place.substr(0, colon));
    std::string line(colon == std::string_view::npos
                         ? std::string_view()
                         : place.substr(colon + 1, place.size() - colon - 2));
    record.severity = severity;
    if (record.time_unix_ns == 0) record.time_unix_ns = *time;
    AddAttribute(record, "thread.id", thread_id);
    AddAttribute(record, "code.filepath", file);
    AddAttribute(record, "code.lineno", line);
    return true;
  }
};

}  // namespace

std::unique_ptr<TextParser> MakeKlogText() { return std::make_unique<KlogText>(); }

}  // namespace faultline
