// Reading these arrays is reading which log formats are understood: of files, and of the texts in
// them.
#include "agent/logs/log_parser.h"
#include "agent/logs/text_parser.h"

namespace faultline {

std::unique_ptr<LogParser> MakeCriParser(uint32_t max_record_bytes);
std::unique_ptr<LogParser> MakeDockerParser(uint32_t max_record_bytes);
std::unique_ptr<LogParser> MakeKmsgParser(uint32_t max_record_bytes);
std::unique_ptr<LogParser> MakePlainParser(uint32_t max_record_bytes);
std::unique_ptr<TextParser> MakeJsonText();
std::unique_ptr<TextParser> MakeKlogText();
std::unique_ptr<TextParser> MakeLogfmtText();
std::unique_ptr<TextParser> MakeNginxText();
std::unique_ptr<TextParser> MakeSyslogText();

namespace {

constexpr LogParserRow kParsers[] = {
    {"cri", "containerd and CRI-O under Kubernetes; partial lines re-joined per stream",
     MakeCriParser},
    {"docker", "Docker's json-file driver; partial texts re-joined per stream", MakeDockerParser},
    {"kmsg", "records of /dev/kmsg with level, time since boot and device", MakeKmsgParser},
    {"plain", "any text file: a line is a record", MakePlainParser},
};

constexpr TextParserRow kTextParsers[] = {
    {"json", "one object a line: level, time, trace and span ids, logger", MakeJsonText},
    {"klog", "Kubernetes' components: level, time, thread, file and line", MakeKlogText},
    {"logfmt", "key=value pairs: level, time, trace and span ids, logger", MakeLogfmtText},
    {"nginx", "access (common, combined) and error logs: client, request, status", MakeNginxText},
    {"syslog", "RFC 3164 and RFC 5424: priority, time, host, program, process", MakeSyslogText},
};

}  // namespace

std::span<const LogParserRow> LogParserCatalogue() { return kParsers; }
std::span<const TextParserRow> TextParserCatalogue() { return kTextParsers; }

}  // namespace faultline
