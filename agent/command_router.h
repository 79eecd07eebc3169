// Orders of the aggregator go to whom they are for.
#pragma once

#include <memory>
#include <utility>

#include "agent/check_control.h"
#include "agent/fault_control.h"
#include "agent/profile_command.h"

namespace faultline {

class CommandRouter final : public CommandExecutor {
 public:
  // Both are owned by the agent and may be made anew.
  CommandRouter(const std::unique_ptr<FaultControl>& faults,
                const std::unique_ptr<CheckControl>& checks)
      : faults_(faults), checks_(checks) {}
  void Execute(v1::Command command, std::function<void(v1::CommandReply)> reply) override {
    if (command.has_profile_cpu()) return ExecuteProfile(command, std::move(reply));
    const bool of_checks =
        command.has_run_checks() || command.has_set_check_rules() || command.has_list_checks();
    if (of_checks && checks_ != nullptr)
      return checks_->Execute(std::move(command), std::move(reply));
    faults_->Execute(std::move(command), std::move(reply));
  }

 private:
  const std::unique_ptr<FaultControl>& faults_;
  const std::unique_ptr<CheckControl>& checks_;
};

}  // namespace faultline
