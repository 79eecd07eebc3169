#include "agent/logs/log_leaves.h"

#include "agent/logs/journal_reader.h"
#include "agent/logs/kmsg_reader.h"
#include "agent/logs/log_tailer.h"
#include "common/log.h"
#include "faultline/v1/config.pb.h"

namespace faultline {

std::vector<LogLeaf> MakeLogLeaves(const HostView& host, const v1::LogsConfig& config,
                                   const LogPositions& positions,
                                   std::span<LogObserver* const> observers) {
  const auto off = Fail(ErrorCode::kUnsupported, "off: not enabled in the configuration");
  std::vector<LogLeaf> leaves;
  leaves.push_back(
      {"files", "log files of pods, containers and logs.files, through every rotation", off});
  leaves.push_back({"kmsg", "the kernel's log, from /dev/kmsg", off});
  leaves.push_back({"journal", "systemd's journal, by unit", off});
  if (!config.enabled()) return leaves;
  auto made = LogTreatments::Make(config);
  if (!made) {
    // Nothing leaves the node that should have been redacted, joined or left out.
    spdlog::error("logs are off: {}", made.error().message);
    for (LogLeaf& leaf : leaves) leaf.made = std::unexpected(made.error());
    return leaves;
  }
  const std::shared_ptr<const LogTreatments> treatments = *std::move(made);
  leaves[0].made = std::make_unique<LogTailer>(host, config, treatments, positions, observers);
  if (config.kmsg()) {
    leaves[1].made =
        KmsgReader::Open(host, config.max_line_bytes(), treatments, positions.find, observers);
  }
  if (config.journal()) {
    JournalReader::Options options{.max_record_bytes = config.max_line_bytes(),
                                   .without_kernel = leaves[1].made.has_value()};
    if (!config.journal_root().empty()) {
      options.folders = {config.journal_root()};
    } else {
      options.folders = {"/var/log/journal", "/run/log/journal"};
    }
    leaves[2].made = JournalReader::Open(host, options, treatments, positions.find, observers);
  }
  return leaves;
}

}  // namespace faultline
