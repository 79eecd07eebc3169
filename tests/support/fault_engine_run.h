// A fault engine as the agent runs it, in this process: commands wait for their replies,
// transitions are recorded.
#pragma once

#include <condition_variable>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "agent/faults/fault_engine.h"
#include "agent/faults/guardian.h"
#include "agent/faults/process_identity.h"
#include "common/text.h"
#include "tests/support/fault_victim.h"

namespace faultline {

// The guardians that live, in the order of their ranks. `journal`: of that folder only, where one
// process has been several agents.
inline std::vector<pid_t> GuardiansOf(const HostView& host, pid_t agent,
                                      std::string_view journal = {}) {
  std::map<std::string, pid_t> by_rank;
  for (const uint32_t pid : ListProcesses(host)) {
    const auto stat = ReadLiveProcess(host, pid);
    if (!stat || stat->parent != static_cast<uint32_t>(agent)) continue;
    // One that has ended, or is not loaded yet, has no such words.
    const std::string text = host.fs.Read(fmt::format("/proc/{}/cmdline", pid)).value_or("");
    const auto words = Split(text, '\0');
    if (words.size() > 7 && words[1] == "--guard" && (journal.empty() || words[2] == journal))
      by_rank[std::string(words[7])] = static_cast<pid_t>(pid);
  }
  std::vector<pid_t> guardians;
  for (const auto& [rank, pid] : by_rank) guardians.push_back(pid);
  return guardians;
}

class FaultEngineRun {
 public:
  FaultEngineRun(FaultEngineOptions options, const HostView& host, CgroupMounts mounts)
      : engine_(std::move(options), host, std::move(mounts),
                [this](v1::FaultTransition transition) {
                  const std::lock_guard lock(mutex_);
                  transitions_.push_back(std::move(transition));
                }) {}
  FaultEngine& engine() { return engine_; }

  v1::CommandReply Call(v1::Command command) {
    struct Waiting {
      std::mutex mutex;
      std::condition_variable ready;
      std::optional<v1::CommandReply> reply;
    };
    const auto waiting = std::make_shared<Waiting>();
    engine_.Handle(std::move(command), [waiting](v1::CommandReply reply) {
      const std::lock_guard lock(waiting->mutex);
      waiting->reply = std::move(reply);
      waiting->ready.notify_all();
    });
    std::unique_lock lock(waiting->mutex);
    const bool answered = waiting->ready.wait_for(lock, std::chrono::seconds(20),
                                                  [&] { return waiting->reply.has_value(); });
    v1::CommandReply none;
    none.set_error_code("no_reply");
    return answered ? *waiting->reply : none;
  }
  v1::CommandReply Inject(const std::string& uid, const std::string& fault,
                          const v1::Subject& target, int64_t duration_ms,
                          std::map<std::string, std::string> parameters = {},
                          bool dry_run = false) {
    v1::Command command;
    v1::InjectFault& asked = *command.mutable_inject_fault();
    asked.set_fault_uid(uid);
    asked.set_experiment("default/test");
    asked.set_fault(fault);
    *asked.mutable_target() = target;
    asked.set_duration_ms(duration_ms);
    asked.set_dry_run(dry_run);
    asked.mutable_parameters()->insert(parameters.begin(), parameters.end());
    return Call(std::move(command));
  }
  v1::CommandReply Recover(const std::string& uid, const std::string& reason = "") {
    v1::Command command;
    command.mutable_recover_fault()->set_fault_uid(uid);
    command.mutable_recover_fault()->set_reason(reason);
    return Call(std::move(command));
  }
  v1::CommandReply List() {
    v1::Command command;
    command.mutable_list_faults();
    return Call(std::move(command));
  }
  // The last transition of that phase; waits for it.
  std::optional<v1::FaultTransition> Wait(const std::string& uid, v1::FaultPhase phase,
                                          int64_t timeout_ms = 10'000) {
    std::optional<v1::FaultTransition> found;
    Eventually(timeout_ms, [&] {
      const std::lock_guard lock(mutex_);
      for (const v1::FaultTransition& transition : transitions_) {
        if (transition.fault_uid() == uid && transition.phase() == phase) found = transition;
      }
      return found.has_value();
    });
    return found;
  }
  std::vector<v1::FaultPhase> Phases(const std::string& uid) {
    const std::lock_guard lock(mutex_);
    std::vector<v1::FaultPhase> phases;
    for (const v1::FaultTransition& transition : transitions_) {
      if (transition.fault_uid() == uid) phases.push_back(transition.phase());
    }
    return phases;
  }

 private:
  std::mutex mutex_;
  std::vector<v1::FaultTransition> transitions_;
  FaultEngine engine_;  // last: it calls back into the others
};

}  // namespace faultline
