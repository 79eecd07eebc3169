// Processes end, once: process_kill sends a signal, container_kill ends all of a container at once,
// pod_kill all containers of a pod, with Kubernetes' grace. What brings them back (a supervisor,
// the runtime, kubelet) is not ours; recoverCmd is run at the end where nobody else does. Signals
// go through pidfds that were checked against the start time.
#include <signal.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "agent/faults/shell_command.h"
#include "agent/faults/victims.h"

namespace faultline {
namespace {

constexpr auto kLook = std::chrono::milliseconds(500);

size_t Living(const FaultPlan& plan, const FaultHost& host) {
  size_t living = 0;
  for (const ProcessIdentity& victim : NamedVictims(plan))
    living += ReadIfSame(*host.host, victim).has_value();
  return living;
}

Result<void> SignalAll(const FaultPlan& plan, const FaultHost& host, int number) {
  for (const ProcessIdentity& victim : NamedVictims(plan)) {
    const auto signalled = SignalProcess(*host.host, victim, number);
    if (!signalled && signalled.error().code != ErrorCode::kNotFound) return signalled;
  }
  return {};
}

class ProcessKill final : public Fault {
 public:
  Result<FaultPlan> Plan(const FaultSpec& spec, const FaultHost& host) override {
    FaultPlan plan;
    plan.spec = spec;
    v1::Subject target = spec.target;
    const bool by_cgroup = !target.cgroup().empty() || !target.container_id().empty();
    if (spec.fault != "process_kill" && !by_cgroup)
      return Fail(ErrorCode::kInvalidArgument, "target: {} needs a container", spec.fault);
    if (spec.fault == "pod_kill") {
      FAULTLINE_ASSIGN(target, PodOf(target, host));
    }
    FAULTLINE_ASSIGN(const auto processes, TargetProcesses(target, host));
    NameVictims(processes, host, plan);
    // Something to do at the end: then it lasts as long as was asked.
    if (spec.Has("recoverCmd")) plan.state["holds"] = "1";
    plan.state["mechanism"] = "signals by pidfd";
    return plan;
  }

  Result<void> Inject(const FaultPlan& plan, const FaultHost& host) override {
    if (Living(plan, host) == 0)
      return Fail(ErrorCode::kNotFound, "all processes of the target have ended by themselves");
    const int64_t grace_s = plan.spec.Integer("gracePeriod");
    if (grace_s > 0) {
      FAULTLINE_TRY(SignalAll(plan, host, SIGTERM));
      const int64_t until_ns = host.host->clock->SteadyNs() + grace_s * kNsPerSecond;
      while (Living(plan, host) > 0 && host.host->clock->SteadyNs() < until_ns)
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    return SignalAll(
        plan, host,
        plan.spec.Has("signal") ? static_cast<int>(plan.spec.Integer("signal")) : SIGKILL);
  }

  Result<v1::Effect> Verify(const FaultPlan& plan, const FaultHost& host) override {
    const size_t all = NamedVictims(plan).size();
    for (int i = 0; i < 10 && Living(plan, host) > 0; ++i) std::this_thread::sleep_for(kLook / 10);
    const size_t living = Living(plan, host);
    v1::Effect effect;
    AddMeasurement(effect, plan, "processes_ended", static_cast<double>(all - living),
                   static_cast<double>(all));
    const bool began = plan.before.contains("processes_ended");
    effect.set_verdict(living == 0 ? v1::VERDICT_TRUE : v1::VERDICT_FALSE);
    effect.set_reason(fmt::format("{} of {} process(es) have ended{}", all - living, all,
                                  began ? "" : ", before anything was sent"));
    if (living == 0 && !began) effect.set_verdict(v1::VERDICT_FALSE);
    return effect;
  }

  Result<void> Recover(const FaultPlan& plan, const FaultHost&) override {
    if (!plan.spec.Has("recoverCmd")) return {};
    FAULTLINE_ASSIGN(const CommandOutcome outcome,
                     RunShell(plan.spec.Text("recoverCmd"), {}, 30 * kNsPerSecond));
    if (outcome.exit_code == 0) return {};
    return Fail(ErrorCode::kInternal, "recoverCmd: exit {}: {}", outcome.exit_code, outcome.output);
  }

  std::vector<std::string> Residue(const FaultPlan&, const FaultHost&) override { return {}; }
};

std::unique_ptr<Fault> Make() { return std::make_unique<ProcessKill>(); }

constexpr ParameterRow kProcess[] = {
    {.name = "signal",
     .kind = ParameterKind::kInteger,
     .fallback = "9",
     .doc = "number of the signal",
     .min = 1,
     .max = 64},
    {.name = "recoverCmd", .doc = "shell command at the end, as to start it again"},
};
constexpr ParameterRow kPod[] = {
    {.name = "gracePeriod",
     .kind = ParameterKind::kInteger,
     .fallback = "0",
     .doc = "seconds between SIGTERM and SIGKILL",
     .min = 0,
     .max = 300},
};

}  // namespace

extern const FaultRow kProcessKill = {
    .name = "process_kill",
    .doc = "Ends processes by a signal.",
    .parameters = kProcess,
    .make = Make,
    .one_shot = true,
    .reapply = false,
};
extern const FaultRow kContainerKill = {
    .name = "container_kill",
    .doc = "Ends all processes of a container; its runtime or kubelet starts it again.",
    .make = Make,
    .one_shot = true,
    .reapply = false,
};
extern const FaultRow kPodKill = {
    .name = "pod_kill",
    .doc = "Ends all containers of a pod, with a grace period.",
    .parameters = kPod,
    .make = Make,
    .one_shot = true,
    .reapply = false,
};

}  // namespace faultline
