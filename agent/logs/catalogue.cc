// Reading this array is reading which log formats are understood.
#include "agent/logs/log_parser.h"

namespace faultline {

std::unique_ptr<LogParser> MakeCriParser(uint32_t max_record_bytes);
std::unique_ptr<LogParser> MakeDockerParser(uint32_t max_record_bytes);
std::unique_ptr<LogParser> MakeKmsgParser(uint32_t max_record_bytes);
std::unique_ptr<LogParser> MakePlainParser(uint32_t max_record_bytes);

namespace {

constexpr LogParserRow kParsers[] = {
    {"cri", "containerd and CRI-O under Kubernetes; partial lines re-joined per stream",
     MakeCriParser},
    {"docker", "Docker's json-file driver; partial texts re-joined per stream", MakeDockerParser},
    {"kmsg", "records of /dev/kmsg with level, time since boot and device", MakeKmsgParser},
    {"plain", "any text file: a line is a record", MakePlainParser},
};

}  // namespace

std::span<const LogParserRow> LogParserCatalogue() { return kParsers; }

}  // namespace faultline
