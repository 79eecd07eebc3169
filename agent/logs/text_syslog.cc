// What syslog daemons write to files and send: RFC 5424 (`<34>1 2026-… host app 123 ID - text`),
// RFC 3164 (`<34>Nov 20 12:00:00 host app[123]: text`, mostly without the number in front), and the
// latter with an RFC 3339 stamp, as rsyslog writes today.
#include "agent/logs/severity.h"
#include "agent/logs/text_fields.h"
#include "agent/logs/text_parser.h"
#include "common/text.h"

namespace faultline {
namespace {

constexpr std::string_view kFacilities[] = {
    "kern",   "user",   "mail",     "daemon", "auth",   "syslog",   "lpr",     "news",
    "uucp",   "cron",   "authpriv", "ftp",    "ntp",    "security", "console", "solaris-cron",
    "local0", "local1", "local2",   "local3", "local4", "local5",   "local6",  "local7"};

v1::Severity SeverityOfPriority(uint64_t priority) {
  constexpr v1::Severity kByLevel[] = {v1::SEVERITY_FATAL, v1::SEVERITY_FATAL, v1::SEVERITY_FATAL,
                                       v1::SEVERITY_ERROR, v1::SEVERITY_WARN,  v1::SEVERITY_INFO,
                                       v1::SEVERITY_INFO,  v1::SEVERITY_DEBUG};
  return kByLevel[priority % 8];
}

// `<34>`; false: there is none, and nothing was taken.
bool TakePriority(std::string_view& rest, uint64_t& priority) {
  const size_t end = rest.starts_with('<') ? rest.find('>') : std::string_view::npos;
  const auto number =
      end != std::string_view::npos && end <= 4 ? ParseUint(rest.substr(1, end - 1)) : std::nullopt;
  if (!number || *number > 191) return false;
  priority = *number;
  rest.remove_prefix(end + 1);
  return true;
}

class SyslogText final : public TextParser {
 public:
  bool Parse(LogChunk::Record& record, int64_t now_unix_ns) const override {
    std::string_view rest = record.body;
    uint64_t priority = 0;
    LogChunk::Record found;
    const bool has_priority = TakePriority(rest, priority);
    if (has_priority) {
      found.severity = SeverityOfPriority(priority);
      AddAttribute(found, "syslog.facility", kFacilities[priority / 8]);
    }
    const bool new_form = has_priority && rest.starts_with("1 ");
    if (!(new_form ? ParseNew(rest.substr(2), found) : ParseOld(rest, found, now_unix_ns)))
      return false;
    record.severity = found.severity;
    if (record.time_unix_ns == 0) record.time_unix_ns = found.time_unix_ns;
    for (auto& attribute : found.attributes) record.attributes.push_back(std::move(attribute));
    return true;
  }

 private:
  static bool ParseNew(std::string_view rest, LogChunk::Record& found) {
    const std::string_view stamp = NextWord(rest), host = NextWord(rest), app = NextWord(rest),
                           pid = NextWord(rest), id = NextWord(rest);
    const auto time = stamp == "-" ? std::optional<int64_t>(0) : ParseTime(stamp);
    if (!time || id.empty()) return false;
    found.time_unix_ns = *time;
    AddAttribute(found, "host.name", host);
    AddAttribute(found, "syslog.appname", app);
    AddAttribute(found, "process.pid", pid);
    AddAttribute(found, "syslog.msgid", id);
    return true;
  }

  static bool ParseOld(std::string_view rest, LogChunk::Record& found, int64_t now_unix_ns) {
    const std::string_view first = NextWord(rest);
    std::optional<int64_t> time;
    if (const int month = MonthOf(first); month != 0) {
      const auto day = ParseUint(NextWord(rest));
      time = TimeWithoutYear(month, static_cast<int>(day.value_or(0)), NextWord(rest), now_unix_ns);
    } else {
      time = ParseTime(first);
    }
    const std::string_view host = NextWord(rest), tag = NextWord(rest);
    if (!time || tag.empty()) return false;
    found.time_unix_ns = *time;
    AddAttribute(found, "host.name", host);
    if (!tag.ends_with(':')) return true;
    const size_t bracket = tag.find('[');
    AddAttribute(found, "syslog.appname", tag.substr(0, std::min(bracket, tag.size() - 1)));
    if (bracket != std::string_view::npos && tag.ends_with("]:"))
      AddAttribute(found, "process.pid", tag.substr(bracket + 1, tag.size() - bracket - 3));
    // Without the number in front the text alone can say how bad it is.
    if (found.severity == v1::SEVERITY_UNSPECIFIED) found.severity = SeverityOfText(Trim(rest));
    return true;
  }
};

}  // namespace

std::unique_ptr<TextParser> MakeSyslogText() { return std::make_unique<SyslogText>(); }

}  // namespace faultline
