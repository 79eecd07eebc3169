// The fault engine as the agent sees it: commands come from the uplink, replies and transitions go back onto the agent's
// thread. Faults that an earlier run left are recovered in Start, before anything else runs.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "agent/faults/fault_engine.h"
#include "agent/uplink.h"
#include "common/emitter.h"

namespace faultline {

class FaultControl final : public CommandExecutor {
 public:
  using Post = std::function<void(std::function<void()> work)>;

  // All outlive the control; `emitter` is used on the agent's thread only.
  FaultControl(const v1::AgentConfig& config, const HostView& host, CgroupMounts mounts, Emitter* emitter, Post post);
  ~FaultControl() override;

  // Faults stay off, with a reason, when the engine cannot keep its promises here.
  void Start();
  // Recovers everything in force; its transitions are posted.
  void Stop();
  void Execute(v1::Command command, std::function<void(v1::CommandReply)> reply) override;
  void RenewLease();
  // Who lives now, for faults whose target has restarted; cheap when there are none.
  void Containers(const ContainerIndex& index);
  std::string WhyOff() const;
  // Catalogue names that may be injected here.
  std::vector<std::string> Names() const;

 private:
  Emitter* const emitter_;
  const Post post_;
  const std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // for posted work
  const std::vector<std::string> allowed_;
  std::string why_off_ = "off: faults.enabled is false";
  bool enabled_ = true;
  std::unique_ptr<FaultEngine> engine_;
};

}  // namespace faultline
