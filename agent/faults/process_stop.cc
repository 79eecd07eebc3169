// process_stop: the target stands still and goes on later where it was. A container is frozen as a
// whole (cgroup.freeze of v2, the freezer of v1): its processes neither see it nor escape by
// forking. Single processes get SIGSTOP, and SIGCONT only if they are still the same process.
// Limits: a debugger or the container's own SIGCONT undoes SIGSTOP (Verify says so); what was
// already stopped or frozen is refused, because Recover would not leave it as it was.
#include <signal.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "agent/faults/fault.h"
#include "agent/faults/process_identity.h"
#include "agent/faults/protected_processes.h"
#include "agent/faults/target_cgroups.h"
#include "agent/faults/victims.h"
#include "common/text.h"

namespace faultline {
namespace {

constexpr size_t kMaxVictims = 256;
constexpr auto kWindow = std::chrono::milliseconds(1000);
constexpr double kStillCores = 0.02;  // less than this is standing still

bool IsStopped(char state) { return state == 'T' || state == 't'; }

std::vector<ProcessIdentity> PlannedProcesses(const FaultPlan& plan) {
  std::vector<ProcessIdentity> processes;
  const std::string all = plan.State("processes");
  for (const std::string_view text : Split(all, '\n')) {
    if (auto identity = ProcessIdentity::Parse(text)) processes.push_back(*std::move(identity));
  }
  return processes;
}

// Frozen or on the way there, as the kernel says it.
Result<bool> ReadFrozen(const HostView& host, const CgroupFolder& folder) {
  if (!folder.controller.empty()) {
    FAULTLINE_ASSIGN(const std::string state, host.fs.ReadTrimmed(folder.path + "/freezer.state"));
    return state == "FROZEN";
  }
  FAULTLINE_ASSIGN(const std::string events, host.fs.Read(folder.path + "/cgroup.events"));
  return events.find("frozen 1") != std::string::npos;
}

Result<bool> WantsFrozen(const HostView& host, const CgroupFolder& folder) {
  if (folder.controller.empty()) {
    FAULTLINE_ASSIGN(const int64_t wanted, host.fs.ReadInt(folder.path + "/cgroup.freeze"));
    return wanted != 0;
  }
  FAULTLINE_ASSIGN(const std::string state, host.fs.ReadTrimmed(folder.path + "/freezer.state"));
  return state != "THAWED";
}

Result<void> SetFrozen(const HostView& host, const CgroupFolder& folder, bool frozen) {
  if (folder.controller.empty())
    return WriteControl(host, folder.path + "/cgroup.freeze", frozen ? "1" : "0");
  return WriteControl(host, folder.path + "/freezer.state", frozen ? "FROZEN" : "THAWED");
}

// The freezer of the plan, if the very same cgroup still exists.
std::optional<CgroupFolder> PlannedFreezer(const FaultPlan& plan, const FaultHost& host) {
  const std::string path = plan.State("freezer");
  if (path.empty() || plan.State("boot_id") != host.host->boot_id) return std::nullopt;
  if (plan.State("freezer_inode") != std::to_string(FolderInode(*host.host, path)))
    return std::nullopt;
  return CgroupFolder{plan.State("mechanism") == "v1" ? "freezer" : "", path};
}

// Several faults may hold one freezer, or one process: the last one to leave lets it go.
std::string FreezerClaim(const CgroupFolder& folder) {
  return "control:" + folder.path +
         (folder.controller.empty() ? "/cgroup.freeze" : "/freezer.state");
}

std::string ProcessClaim(const ProcessIdentity& process) {
  return fmt::format("process:{}:{}", process.pid, process.start_ticks);
}

Result<void> AddVictims(const std::vector<uint32_t>& pids, const FaultHost& host, FaultPlan& plan) {
  std::string identities;
  for (const uint32_t pid : pids) {
    const auto stat = ReadLiveProcess(*host.host, pid);
    if (!stat) continue;
    const std::string why = WhyProtected(*stat, host);
    if (!why.empty()) return Fail(ErrorCode::kPermissionDenied, "target: {}", why);
    const ProcessIdentity identity = ProcessIdentity::Of(*host.host, *stat);
    const std::string claim = ProcessClaim(identity);
    if (IsStopped(stat->state) && host.OthersWith(claim).empty()) {
      return Fail(ErrorCode::kInvalidArgument, "target: pid {} ({}) is stopped already", pid,
                  stat->comm);
    }
    identities += identity.Text() + "\n";
    plan.claims[claim] = "";
    plan.victims.push_back(fmt::format("pid {} ({})", pid, stat->comm));
  }
  if (plan.victims.empty()) return Fail(ErrorCode::kNotFound, "target: no process to stop");
  if (plan.victims.size() > kMaxVictims) {
    return Fail(ErrorCode::kResourceExhausted, "target: {} processes, limit {}",
                plan.victims.size(), kMaxVictims);
  }
  plan.state["processes"] = identities;
  return {};
}

Result<std::vector<uint32_t>> ProcessesByName(const v1::Subject& target, const FaultHost& host) {
  std::vector<uint32_t> pids;
  if (target.pid() != 0) return std::vector<uint32_t>{target.pid()};
  for (const uint32_t pid : ListProcesses(*host.host)) {
    const auto stat = ReadLiveProcess(*host.host, pid);
    if (stat && stat->comm == std::string_view(target.comm()).substr(0, 15)) pids.push_back(pid);
  }
  if (pids.empty())
    return Fail(ErrorCode::kNotFound, "target.comm: no process is called {}", target.comm());
  return pids;
}

// Chooses the freezer that really holds the target's processes: in a hybrid tree the v2 folder may
// be empty.
Result<void> PlanForCgroup(const std::string& cgroup, const FaultHost& host, FaultPlan& plan) {
  if (cgroup == "/")
    return Fail(ErrorCode::kPermissionDenied, "target: the whole node must not be stopped");
  const std::vector<CgroupFolder> folders = TargetFolders(cgroup, 0, host);
  std::vector<uint32_t> pids;
  for (const CgroupFolder& folder : folders) {
    FAULTLINE_ASSIGN(const auto found, ProcessesBelow(*host.host, folder.path));
    pids.insert(pids.end(), found.begin(), found.end());
  }
  std::sort(pids.begin(), pids.end());
  pids.erase(std::unique(pids.begin(), pids.end()), pids.end());
  FAULTLINE_TRY(AddVictims(pids, host, plan));
  for (const char* controller : {"", "freezer"}) {
    const auto folder = std::find_if(folders.begin(), folders.end(), [&](const CgroupFolder& f) {
      return f.controller == controller;
    });
    if (folder == folders.end()) continue;
    const auto held = ProcessesBelow(*host.host, folder->path);
    const auto frozen = WantsFrozen(*host.host, *folder);
    if (!held || !frozen || !std::includes(held->begin(), held->end(), pids.begin(), pids.end()))
      continue;
    if (*frozen && host.OthersWith(FreezerClaim(*folder)).empty())
      return Fail(ErrorCode::kInvalidArgument, "target: cgroup {} is frozen already", cgroup);
    plan.state["mechanism"] = *controller == '\0' ? "v2" : "v1";
    plan.claims[FreezerClaim(*folder)] = "";
    plan.state["freezer"] = folder->path;
    plan.state["freezer_inode"] = std::to_string(FolderInode(*host.host, folder->path));
    plan.victims.insert(plan.victims.begin(), fmt::format("cgroup {}", cgroup));
    break;
  }
  if (const CgroupFolder* accounted = FolderOf(folders, "cpuacct")) {
    plan.state["accounted"] = accounted->path;
    plan.state["accounted_by"] = accounted->controller;
  }
  return {};
}

int64_t CpuNs(const FaultPlan& plan, const FaultHost& host) {
  if (const std::string path = plan.State("accounted"); !path.empty()) {
    return CgroupCpuNs(*host.host, {plan.State("accounted_by"), path}).value_or(0);
  }
  int64_t total = 0;
  for (const ProcessIdentity& process : PlannedProcesses(plan)) {
    if (const auto stat = ReadIfSame(*host.host, process)) total += stat->cpu_ns;
  }
  return total;
}

class ProcessStop final : public Fault {
 public:
  Result<FaultPlan> Plan(const FaultSpec& spec, const FaultHost& host) override {
    FaultPlan plan;
    plan.spec = spec;
    plan.state["boot_id"] = host.host->boot_id;
    plan.state["mechanism"] = "signal";
    v1::Subject target = spec.target;
    const bool by_cgroup = !target.cgroup().empty() || !target.container_id().empty();
    if (spec.fault != "process_stop" && !by_cgroup)
      return Fail(ErrorCode::kInvalidArgument, "target: {} needs a container", spec.fault);
    if (spec.fault == "pod_failure") {
      FAULTLINE_ASSIGN(target, PodOf(target, host));
    }
    if (target.pid() != 0 ||
        (!target.comm().empty() && target.cgroup().empty() && target.container_id().empty())) {
      FAULTLINE_ASSIGN(const std::vector<uint32_t> pids, ProcessesByName(target, host));
      FAULTLINE_TRY(AddVictims(pids, host, plan));
      return plan;
    }
    FAULTLINE_ASSIGN(const std::string cgroup, TargetCgroup(target, host));
    FAULTLINE_TRY(PlanForCgroup(cgroup, host, plan));
    return plan;
  }

  Result<void> Inject(const FaultPlan& plan, const FaultHost& host) override {
    if (plan.State("mechanism") != "signal") {
      const auto freezer = PlannedFreezer(plan, host);
      if (!freezer) return Fail(ErrorCode::kNotFound, "cgroup {} is gone", plan.State("freezer"));
      return SetFrozen(*host.host, *freezer, true);
    }
    size_t stopped = 0;
    for (const ProcessIdentity& process : PlannedProcesses(plan)) {
      const auto signalled = SignalProcess(*host.host, process, SIGSTOP);
      if (!signalled && signalled.error().code != ErrorCode::kNotFound) return signalled;
      if (signalled) ++stopped;
    }
    if (stopped == 0) return Fail(ErrorCode::kNotFound, "all processes of the target have ended");
    return {};
  }

  Result<v1::Effect> Verify(const FaultPlan& plan, const FaultHost& host) override {
    const int64_t cpu_before = CpuNs(plan, host);
    const int64_t begin_ns = host.host->clock->SteadyNs();
    std::this_thread::sleep_for(kWindow);
    const double elapsed =
        static_cast<double>(std::max<int64_t>(host.host->clock->SteadyNs() - begin_ns, 1));
    const double cores = static_cast<double>(CpuNs(plan, host) - cpu_before) / elapsed;
    const std::vector<ProcessIdentity> processes = PlannedProcesses(plan);
    size_t alive = 0;
    size_t still = 0;
    const auto freezer = PlannedFreezer(plan, host);
    const bool frozen = freezer && ReadFrozen(*host.host, *freezer).value_or(false);
    for (const ProcessIdentity& process : processes) {
      const auto stat = ReadIfSame(*host.host, process);
      if (!stat) continue;
      ++alive;
      if (frozen || IsStopped(stat->state)) ++still;
    }
    v1::Effect effect;
    AddMeasurement(effect, plan, "processes_stopped", static_cast<double>(still),
                   static_cast<double>(processes.size()));
    AddMeasurement(effect, plan, "cpu_cores", cores, 0);
    if (alive == 0) {
      effect.set_verdict(v1::VERDICT_INCONCLUSIVE);
      effect.set_reason("all processes of the target have ended");
    } else if (still == alive && cores < kStillCores) {
      effect.set_verdict(v1::VERDICT_TRUE);
      effect.set_reason(fmt::format("{} process(es) stand still and use no CPU", still));
    } else {
      effect.set_verdict(v1::VERDICT_FALSE);
      effect.set_reason(
          fmt::format("{} of {} process(es) stand still, {:.3f} cores used", still, alive, cores));
    }
    return effect;
  }

  Result<void> Recover(const FaultPlan& plan, const FaultHost& host) override {
    const auto freezer = PlannedFreezer(plan, host);
    if (freezer && host.OthersWith(FreezerClaim(*freezer)).empty())
      FAULTLINE_TRY(SetFrozen(*host.host, *freezer, false));
    if (plan.State("mechanism") != "signal") return {};
    for (const ProcessIdentity& process : PlannedProcesses(plan)) {
      // Only what is stopped: a needless SIGCONT would run the target's handler.
      const auto stat = ReadIfSame(*host.host, process);
      if (!stat || !IsStopped(stat->state) || !host.OthersWith(ProcessClaim(process)).empty())
        continue;
      const auto signalled = SignalProcess(*host.host, process, SIGCONT);
      if (!signalled && signalled.error().code != ErrorCode::kNotFound) return signalled;
    }
    return {};
  }

  std::vector<std::string> Residue(const FaultPlan& plan, const FaultHost& host) override {
    std::vector<std::string> residue;
    const auto freezer = PlannedFreezer(plan, host);
    if (freezer && host.OthersWith(FreezerClaim(*freezer)).empty()) {
      if (WantsFrozen(*host.host, *freezer).value_or(false))
        residue.push_back("frozen cgroup " + freezer->path);
    }
    if (plan.State("mechanism") != "signal") return residue;
    for (const ProcessIdentity& process : PlannedProcesses(plan)) {
      const auto stat = ReadIfSame(*host.host, process);
      if (stat && IsStopped(stat->state) && host.OthersWith(ProcessClaim(process)).empty())
        residue.push_back(fmt::format("stopped pid {}", process.pid));
    }
    return residue;
  }
};

}  // namespace

extern const FaultRow kContainerPause = {
    .name = "container_pause",
    .doc = "Freezes a container, as its runtime's pause does.",
    .make = [] { return std::unique_ptr<Fault>(new ProcessStop); },
};
extern const FaultRow kPodFailure = {
    .name = "pod_failure",
    .doc = "All containers of a pod stand still: it is there and does not answer.",
    .make = [] { return std::unique_ptr<Fault>(new ProcessStop); },
};
extern const FaultRow kProcessStop = {
    .name = "process_stop",
    .doc = "Stops a container, a cgroup or processes, and lets them go on.",
    .make = [] { return std::unique_ptr<Fault>(new ProcessStop); },
};

}  // namespace faultline
