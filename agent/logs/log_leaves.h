// What the agent runs of this folder, as the configuration wants it.
#pragma once

#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "agent/collectors/collector.h"
#include "agent/logs/log_file.h"
#include "agent/logs/log_observer.h"

namespace faultline::v1 {
class LogsConfig;
}

namespace faultline {

struct LogLeaf {
  std::string_view name;
  std::string_view doc;
  Result<std::unique_ptr<Collector>> made;
};

// `host`, the observers and what `positions` refer to outlive the leaves.
std::vector<LogLeaf> MakeLogLeaves(const HostView& host, const v1::LogsConfig& config,
                                   const LogPositions& positions,
                                   std::span<LogObserver* const> observers = {});

}  // namespace faultline
