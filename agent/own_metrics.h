// What the agent says about itself, as faultline_agent_*: queues, drops, spool, uplink. A leaf like any other, made by
// the agent because it alone sees these parts (what it costs is the leaf `self`).
#pragma once

#include <memory>

#include "agent/collectors/collector.h"
#include "agent/pipeline.h"
#include "agent/spool.h"
#include "agent/uplink.h"

namespace faultline {

// All outlive the collector; `uplink` may be null (not enabled).
struct OwnMetricsParts {
  const Pipeline* pipeline = nullptr;
  const Spool* spool = nullptr;
  const Uplink* uplink = nullptr;
  const ContainerIndex* containers = nullptr;
  std::string version;
};

std::unique_ptr<Collector> MakeOwnMetrics(OwnMetricsParts parts);

}  // namespace faultline
