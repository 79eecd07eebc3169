#include "agent/faults/traced_fault.h"

#include <signal.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "agent/faults/network_target.h"
#include "agent/faults/process_identity.h"
#include "agent/faults/protected_processes.h"
#include "agent/faults/target_cgroups.h"
#include "common/text.h"

namespace faultline {
namespace {

constexpr auto kWindow = std::chrono::milliseconds(1000);

Result<void> CheckTraceable(const LiveProcess& process, const FaultHost& host) {
  if (const std::string why = WhyProtected(process, host); !why.empty())
    return Fail(ErrorCode::kPermissionDenied, "target: {}", why);
  const auto status = host.host->fs.Read(fmt::format("/proc/{}/status", process.pid));
  const size_t at = status ? status->find("TracerPid:") : std::string::npos;
  if (at == std::string::npos) return {};
  std::string_view rest = std::string_view(*status).substr(at + 10);
  if (const auto tracer = ParseUint(NextWord(rest = Trim(rest.substr(0, rest.find('\n')))));
      tracer && *tracer != 0)
    return Fail(ErrorCode::kConflict, "target: pid {} is traced by pid {} already", process.pid,
                *tracer);
  return {};
}

}  // namespace

Result<FaultPlan> TracedFault::Plan(const FaultSpec& spec, const FaultHost& host) {
  FAULTLINE_ASSIGN(const std::string what, Describe(spec));
  FAULTLINE_ASSIGN(const std::vector<uint32_t> pids, TargetPids(spec.target, host));
  if (pids.empty())
    return Fail(ErrorCode::kInvalidArgument, "target: the calls of a whole node are not traced");
  FaultPlan plan;
  plan.spec = spec;
  std::string whom = "cgroup " + spec.target.cgroup();
  for (const uint32_t pid : pids) {
    const auto process = ReadLiveProcess(*host.host, pid);
    if (!process) continue;
    FAULTLINE_TRY(CheckTraceable(*process, host));
    if (spec.target.cgroup().empty()) whom = fmt::format("pid {} ({})", pid, process->comm);
  }
  if (spec.target.cgroup().empty() && spec.target.container_id().empty()) {
    for (const uint32_t pid : pids) plan.state["pids"] += std::to_string(pid) + " ";
  } else {
    FAULTLINE_ASSIGN(plan.state["cgroup"], TargetCgroup(spec.target, host));
  }
  plan.state["mechanism"] = "ptrace";
  plan.victims.push_back(fmt::format("{}: {} process(es): {}", whom, pids.size(), what));
  return plan;
}

Result<void> TracedFault::Inject(const FaultPlan& plan, const FaultHost& host) {
  return StartFaultService(plan, host);
}

Result<v1::Effect> TracedFault::Verify(const FaultPlan& plan, const FaultHost& host) {
  v1::Effect effect;
  const auto first = ReadServiceCounts(*host.host, plan.spec.uid);
  if (!first) {
    AddMeasurement(effect, plan, "calls_changed", 0, 1);
    effect.set_verdict(v1::VERDICT_FALSE);
    effect.set_reason("nothing is traced");
    return effect;
  }
  std::this_thread::sleep_for(kWindow);
  const CountsRead last = ReadServiceCounts(*host.host, plan.spec.uid).value_or(*first);
  AddMeasurement(effect, plan, "calls_seen", static_cast<double>(last.seen), 1);
  AddMeasurement(effect, plan, "calls_met", static_cast<double>(last.met), 1);
  AddMeasurement(effect, plan, "calls_changed", static_cast<double>(last.done), 1);
  effect.set_verdict(last.done > 0  ? v1::VERDICT_TRUE
                     : last.met > 0 ? v1::VERDICT_INCONCLUSIVE
                                    : v1::VERDICT_FALSE);
  effect.set_reason(last.met == 0 ? fmt::format("none of {} calls met the filter so far", last.seen)
                                  : fmt::format("of {} calls {} met the filter, {} ended as asked",
                                                last.seen, last.met, last.done));
  return effect;
}

Result<void> TracedFault::Recover(const FaultPlan& plan, const FaultHost& host) {
  return EndFaultServices(*host.host, plan.spec.uid, 1000);
}

std::vector<std::string> TracedFault::Residue(const FaultPlan& plan, const FaultHost& host) {
  std::vector<std::string> residue;
  for (const LiveProcess& service : FindFaultServices(*host.host, plan.spec.uid))
    residue.push_back(fmt::format("tracer pid {}", service.pid));
  return residue;
}

Result<void> ServeTraced(const ServiceCall& call, CallRules& rules) {
  // Whom the plan names, and nobody else: a plan without a name means nobody, never the root of all cgroups.
  const std::string cgroup = call.plan.State("cgroup");
  const std::string named = call.plan.State("pids");
  if (named.empty() && (cgroup.empty() || cgroup == "/"))
    return Fail(ErrorCode::kInvalidArgument, "the plan names neither processes nor a cgroup");
  const auto list = [&]() -> std::vector<uint32_t> {
    std::vector<uint32_t> pids;
    std::string_view rest = named;
    while (!rest.empty()) {
      if (const auto pid = ParseUint(NextWord(rest))) pids.push_back(static_cast<uint32_t>(*pid));
    }
    if (!cgroup.empty()) {
      for (const CgroupFolder& folder : TargetFolders(cgroup, 0, call.host)) {
        const auto here = ProcessesBelow(*call.host.host, folder.path);
        if (here) pids.insert(pids.end(), here->begin(), here->end());
      }
    }
    std::sort(pids.begin(), pids.end());
    pids.erase(std::unique(pids.begin(), pids.end()), pids.end());
    std::erase_if(pids, [&](uint32_t pid) {
      const auto process = ReadLiveProcess(*call.host.host, pid);
      return !process || !WhyProtected(*process, call.host).empty();
    });
    return pids;
  };
  sigset_t child;
  sigemptyset(&child);
  sigaddset(&child, SIGCHLD);
  sigprocmask(SIG_BLOCK, &child, nullptr);
  SyscallTracer tracer(rules, list);
  FAULTLINE_TRY(tracer.Attach());
  call.ready();
  tracer.Run(call.stop_fd);
  return {};
}

}  // namespace faultline
