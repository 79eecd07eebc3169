// The checks as the agent sees them: results come from the engine's thread onto the agent's, become
// records, and the last of each rule is what the series say (problem_counter, problem_gauge,
// aegis_node_health_status). Commands go to the engine.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "agent/checks/check_engine.h"
#include "agent/collectors/collector.h"
#include "agent/containers/container_index.h"
#include "agent/logs/log_observer.h"
#include "agent/uplink.h"
#include "common/emitter.h"

namespace faultline {

class CheckControl final : public CommandExecutor, public LogObserver {
 public:
  using Post = std::function<void(std::function<void()> work)>;

  // All outlive the control; `emitter` is used on the agent's thread only.
  CheckControl(const v1::AgentConfig& config, const CgroupMounts& mounts, Emitter* emitter,
               Post post);
  ~CheckControl() override;

  void Start();
  void Stop();
  void Execute(v1::Command command, std::function<void(v1::CommandReply)> reply) override;
  // Lines of the journal go to the rules that want them.
  void Observe(const LogChunk& chunk) override;
  // Who lives here, for checks that look from inside a pod.
  void SetContainers(const v1::Inventory& inventory);
  // The leaf that emits the series; owned by the collector host, refers to this control's state.
  std::unique_ptr<Collector> MakeSeries() const;
  std::string WhyOff() const { return engine_ == nullptr ? "off: checks.enabled is false" : ""; }
  bool HasStuckCheck() const { return engine_ != nullptr && engine_->HasStuckCheck(); }

  struct State;

 private:
  void Take(v1::CheckResult result);
  uint32_t FindView(const v1::CheckView& view) const;

  Emitter* const emitter_;
  const Post post_;
  const std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // for posted work
  const std::shared_ptr<State> state_;
  mutable std::mutex containers_mutex_;
  std::vector<v1::ContainerInfo> containers_;  // those of pods
  std::unique_ptr<CheckEngine> engine_;
};

}  // namespace faultline
