#include "agent/logs/log_leaves.h"

#include "agent/logs/kmsg_reader.h"
#include "agent/logs/log_tailer.h"
#include "faultline/v1/config.pb.h"

namespace faultline {

std::vector<LogLeaf> MakeLogLeaves(const HostView& host, const v1::LogsConfig& config,
                                   const CommittedPosition& committed,
                                   std::span<LogObserver* const> observers) {
  const auto off = Fail(ErrorCode::kUnsupported, "off: not enabled in the configuration");
  std::vector<LogLeaf> leaves;
  leaves.push_back(
      {"files", "log files of pods, containers and logs.files, through every rotation", off});
  leaves.push_back({"kmsg", "the kernel's log, from /dev/kmsg", off});
  if (config.enabled())
    leaves[0].made = std::make_unique<LogTailer>(host, config, committed, observers);
  if (config.enabled() && config.kmsg())
    leaves[1].made = KmsgReader::Open(host, config.max_line_bytes(), committed, observers);
  return leaves;
}

}  // namespace faultline
