// A collector reads one thing and emits it. Copy the smallest sibling (loadavg.cc), write the fixture and
// the expected samples first, then the leaf, then its row in catalogue.cc.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string_view>

#include "agent/containers/container_index.h"
#include "common/emitter.h"
#include "common/host_view.h"
#include "common/result.h"

namespace faultline::v1 {
class AgentConfig;  // faultline/v1/config.pb.h: included by the leaves that read it
}

namespace faultline {

class Collector {
 public:
  virtual ~Collector() = default;
  // Called every period. kNotFound means that this host has no such thing ("no data"); any other
  // error is a failure of this pass.
  virtual Result<void> Collect(Emitter& out) = 0;
  // Called when wake_fd() is readable, between the periods: series that it does not emit live on. By default all of
  // Collect.
  virtual Result<void> Wake(Emitter& out) { return Collect(out); }
  // A descriptor that is readable when there is something to collect now (ring buffer, kmsg, inotify). Neither call may
  // block then.
  virtual std::optional<int> wake_fd() const { return std::nullopt; }
};

// What a leaf is made of; everything outlives the leaf.
struct LeafContext {
  const HostView& host;
  const v1::AgentConfig& config;
  // Who lives here, refreshed by the frame before every pass. Null when containers are off, and for leaves that
  // may block: it belongs to the agent's thread.
  ContainerIndex* containers = nullptr;
};

struct CollectorRow {
  std::string_view name;  // as in collectors.<name>.enabled and node_scrape_collector_success
  std::string_view doc;   // one line
  bool on_by_default = true;
  bool may_block = false;  // statfs, fork: runs on a thread of its own, under collect.timeout
  // An error says why the leaf cannot run here; it is listed in /debug/leaves and never stops the agent.
  Result<std::unique_ptr<Collector>> (*make)(const LeafContext&) = nullptr;
};

// Reading this array is reading what is collected.
std::span<const CollectorRow> CollectorCatalogue();

}  // namespace faultline
