// One fault on a stage of its own, through the engine as the agent runs it (journal, guardians,
// deadlines), for benches that look at it with probes of their own. Each trial is a process:
// nothing of it is left for the next one.
#pragma once

#include <optional>
#include <string>

#include "tests/support/fault_engine_run.h"
#include "tests/support/fault_probes.h"
#include "tests/support/fault_stage.h"
#include "tests/support/paths.h"

namespace faultline {

class FaultTrial {
 public:
  FaultTrial() : stage(view) {
    signal(SIGPIPE, SIG_IGN);
    FaultEngineOptions options;
    options.state_dir = state_.root();
    options.guardian_program = BinaryDir() + "/bin/faultline-guardian";
    options.lease_ns = 0;  // nobody renews it here
    options.allowed = {"*", "user_defined", "task"};
    target.set_cgroup(stage.victim().path());
    run.emplace(options, view, stage.victim().mounts());
    started_ = stage.networked() && run->engine().Start().has_value();
  }
  // Empty: it is in force. `lasts_ms` is held by the engine.
  std::string Begin(const std::string& fault, const std::string& parameters, int64_t lasts_ms) {
    if (!started_) return "the engine does not start here";
    uid_ = fmt::format("trial-{}-{}", getpid(), ++count_);
    const auto reply = run->Inject(uid_, fault, target, lasts_ms, stage.Parameters(parameters));
    return reply.error_code().empty() ? "" : reply.error_code() + ": " + reply.error_message();
  }
  // The agent's own measurement must not be in the way of ours.
  std::optional<v1::Effect> Verified() {
    const auto verified = run->Wait(uid_, v1::FAULT_PHASE_VERIFIED);
    if (!verified) return std::nullopt;
    return verified->effect();
  }
  void End() { run->Recover(uid_); }
  const std::string& uid() const { return uid_; }

  // What `work` prints into `answer`, from a child that is gone afterwards.
  static std::string InChild(const std::function<std::string()>& work) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) return "!pipe";
    std::fflush(stdout);
    const pid_t child = fork();
    if (child == 0) {
      const std::string answer = work();
      (void)!write(ends[1], answer.data(), answer.size());
      _exit(0);
    }
    close(ends[1]);
    std::string text;
    char buffer[4096];
    for (ssize_t n = 0; (n = read(ends[0], buffer, sizeof buffer)) > 0;)
      text.append(buffer, static_cast<size_t>(n));
    close(ends[0]);
    waitpid(child, nullptr, 0);
    return text;
  }

  SystemClock clock;
  HostView view = HostView::Real("/", &clock);
  FaultStage stage;
  v1::Subject target;  // the stage's cgroup, unless a probe is the target

 private:
  TempTree state_;

 public:
  std::optional<FaultEngineRun> run;

 private:
  std::string uid_;
  int count_ = 0;
  bool started_ = false;
};

}  // namespace faultline
