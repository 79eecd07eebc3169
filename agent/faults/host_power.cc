// host_reboot and host_shutdown: the whole node, in two steps. Without parameters.confirm the plan
// is refused, and the refusal names the word that confirms: it changes with each boot, so that a
// manifest that was kept cannot do it again. A worker of ours waits a few seconds before it does
// it; until then recover still stops it. What comes after a reboot is a matter of the node's
// services.
#include <xxhash.h>

#include "agent/faults/fault.h"
#include "agent/faults/stress_worker.h"

namespace faultline {
namespace {

std::string ConfirmationWord(const FaultSpec& spec, const FaultHost& host) {
  const std::string text = spec.fault + host.host->boot_id;
  return fmt::format("{}-{:06x}", spec.fault == "host_reboot" ? "reboot" : "shutdown",
                     XXH64(text.data(), text.size(), 0) & 0xffffff);
}

class HostPower final : public Fault {
 public:
  Result<FaultPlan> Plan(const FaultSpec& spec, const FaultHost& host) override {
    FaultPlan plan;
    plan.spec = spec;
    plan.state["target"] = "node";
    if (host.worker_program.empty())
      return Fail(ErrorCode::kUnsupported, "no worker program is installed");
    const std::string word = ConfirmationWord(spec, host);
    plan.victims.push_back(
        fmt::format("the whole node, and all that runs on it (confirm: {})", word));
    if (spec.dry_run) return plan;
    if (spec.Text("confirm") != word)
      return Fail(ErrorCode::kPermissionDenied,
                  "parameters.confirm: say '{}' to do this to the whole node", word);
    return plan;
  }

  Result<void> Inject(const FaultPlan& plan, const FaultHost& host) override {
    WorkerOrder order;
    order.fault_uid = plan.spec.uid;
    order.home = host.journal_folder;
    order.kind = plan.spec.fault == "host_reboot" ? "reboot" : "shutdown";
    order.amount = plan.spec.DurationNs("after") / kNsPerMs;
    order.lifetime_s = order.amount / 1000 + 60;
    FAULTLINE_TRY(StartWorker(order, host, [](uint32_t) { return Result<void>(); }));
    return {};
  }

  // After it nobody is here to look: what can be seen is that it is on its way.
  Result<v1::Effect> Verify(const FaultPlan& plan, const FaultHost& host) override {
    const size_t waiting = FindWorkers(*host.host, plan.spec.uid).size();
    v1::Effect effect;
    AddMeasurement(effect, plan, "on_its_way", static_cast<double>(waiting), 1);
    effect.set_verdict(waiting > 0 ? v1::VERDICT_INCONCLUSIVE : v1::VERDICT_FALSE);
    effect.set_reason(waiting > 0 ? "on its way; the node's silence will prove it"
                                  : "nobody is about to do it");
    return effect;
  }

  Result<void> Recover(const FaultPlan& plan, const FaultHost& host) override {
    return EndWorkers(*host.host, plan.spec.uid);
  }

  std::vector<std::string> Residue(const FaultPlan& plan, const FaultHost& host) override {
    std::vector<std::string> residue;
    for (const LiveProcess& worker : FindWorkers(*host.host, plan.spec.uid))
      residue.push_back(fmt::format("worker pid {}", worker.pid));
    return residue;
  }
};

constexpr ParameterRow kParameters[] = {
    {.name = "confirm", .doc = "the word that a dry run names"},
    {.name = "after",
     .kind = ParameterKind::kDuration,
     .fallback = "5s",
     .doc = "how long it can still be stopped",
     .min = 1e9,
     .max = 3600e9},
};

std::unique_ptr<Fault> Make() { return std::make_unique<HostPower>(); }

}  // namespace

extern const FaultRow kHostReboot = {
    .name = "host_reboot",
    .doc = "Restarts the node; needs a confirmation.",
    .parameters = kParameters,
    .make = Make,
    .reapply = false,
    .must_be_allowed = true,
};
extern const FaultRow kHostShutdown = {
    .name = "host_shutdown",
    .doc = "Switches the node off; needs a confirmation.",
    .parameters = kParameters,
    .make = Make,
    .reapply = false,
    .must_be_allowed = true,
};

}  // namespace faultline
