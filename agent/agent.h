// The agent, put together. Its members, in order, are the road of a record: leaves → collector_host → pipeline → spool →
// uplink; what follows are side branches. One thread (the loop's) runs all of it, except leaves that may block.
#pragma once

#include <cstdio>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "agent/agent_http.h"
#include "agent/otlp_receiver.h"
#include "agent/check_control.h"
#include "agent/collector_host.h"
#include "agent/containers/container_index.h"
#include "agent/command_router.h"
#include "agent/event_loop.h"
#include "agent/fault_control.h"
#include "agent/pipeline.h"
#include "agent/spool.h"
#include "agent/uplink.h"
#include "common/clock.h"
#include "common/host_view.h"
#include "common/transport.h"
#include "faultline/v1/config.pb.h"

namespace faultline {

class Agent {
 public:
  using ReadConfig = std::function<Result<v1::AgentConfig>()>;

  // Start-up errors are fatal, with one clear line. `reread` gives the configuration again on SIGHUP.
  static Result<std::unique_ptr<Agent>> Create(const v1::AgentConfig& config, ReadConfig reread);
  ~Agent();

  // Until SIGTERM or SIGINT; what is collected then is flushed within a deadline.
  void Run();
  // A leaf's thread hangs in the kernel: leave by _exit, nobody can wait for it.
  bool HasStuckLeaf() const {
    return collector_host_->HasStuckLeaf() || (checks_ != nullptr && checks_->HasStuckCheck());
  }

  // One pass of every leaf that is on (or of those named `only`), printed as JSON lines.
  static Result<void> RunOnce(const v1::AgentConfig& config, const std::vector<std::string>& only,
                              std::FILE* out);

 private:
  Agent();
  Result<void> Assemble(ReadConfig reread);
  Result<void> OpenUplink();
  Result<void> OpenHttp();
  void OpenChecks();
  void OpenLeaves();
  void CloseLeaves();
  std::vector<std::string> Capabilities() const;
  void Schedule();
  void Tick();
  void RefreshContainers();
  void TidyLogs();
  void EmitInventory();
  void StepUplink();
  void Reload();
  void Shutdown(int64_t deadline_ns);
  Page LeavesPage() const;
  Page ReadyPage() const;

  SystemClock clock_;
  std::shared_ptr<const v1::AgentConfig> config_;
  ReadConfig reread_;
  std::shared_ptr<const HostView> host_;
  EventLoop loop_;
  std::shared_ptr<const v1::AgentConfig> containers_config_;  // outlives the index, whatever is reloaded
  std::unique_ptr<ContainerIndex> containers_;

  std::unique_ptr<CollectorHost> collector_host_;
  std::unique_ptr<Pipeline> pipeline_;
  std::unique_ptr<Spool> spool_;
  std::unique_ptr<Uplink> uplink_;
  std::unique_ptr<ClientTransport> transport_;

  std::unique_ptr<FaultControl> faults_;
  std::unique_ptr<CheckControl> checks_;
  CommandRouter commands_{faults_, checks_};
  std::unique_ptr<AgentHttp> http_;
  std::unique_ptr<OtlpReceiver> otlp_;
  std::vector<int> wakers_;      // of leaves, in the loop
  int uplink_watch_ = 0;
  uint64_t uplink_watch_epoch_ = 0;
  int64_t inventory_at_ns_ = 0;  // when the next one is due
  uint64_t inventory_hash_ = 0;  // of the containers last told
  int64_t tidy_at_ns_ = 0;
  int64_t logs_tidy_at_ns_ = 0;
  uint64_t ticks_ = 0;
  bool stopping_ = false;
};

// What this program can do, for --list.
std::string ListCatalogues();
// What the configuration may name.
std::vector<std::string_view> CollectorNames();
std::vector<std::string_view> FaultNames();
std::vector<std::string_view> CheckNames();

}  // namespace faultline
