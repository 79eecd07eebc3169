// fd_limit: the target's processes can open no more files. The kernel's limit is one of numbers:
// the soft limit of each becomes the number below which nothing (or `spare`) is free now. The hard
// limit stays, so that it can go back up. Verify counts what is free below the limit.
#include <sys/resource.h>

#include <algorithm>
#include <cerrno>
#include <set>

#include "agent/faults/claims.h"
#include "agent/faults/victims.h"
#include "common/text.h"

namespace faultline {
namespace {

std::string ClaimOf(const ProcessIdentity& process) {
  return fmt::format("limit:nofile:{}:{}", process.pid, process.start_ticks);
}

std::set<uint64_t> OpenNumbers(const HostView& host, uint32_t pid) {
  std::set<uint64_t> open;
  for (const std::string& name :
       host.fs.List(fmt::format("/proc/{}/fd", pid)).value_or(std::vector<std::string>())) {
    if (const auto number = ParseUint(name)) open.insert(*number);
  }
  return open;
}

// The limit that leaves `spare` numbers free.
uint64_t LimitThatLeaves(uint64_t spare, const std::set<uint64_t>& open) {
  uint64_t limit = spare;
  for (const uint64_t number : open) {
    if (number > limit) break;
    ++limit;
  }
  return limit;
}

// "soft hard" of a claim.
Result<void> SetSoft(const ProcessIdentity& process, std::string_view text, const FaultHost& host) {
  if (!ReadIfSame(*host.host, process)) return {};
  const auto soft = ParseUint(NextWord(text));
  if (!soft) return Fail(ErrorCode::kCorruption, "no limit of files: {}", text);
  const auto pid = static_cast<pid_t>(process.pid);
  struct rlimit limit {};
  if (prlimit(pid, RLIMIT_NOFILE, nullptr, &limit) != 0)
    return FailErrno(errno, "read limits of {}", pid);
  limit.rlim_cur = std::min<rlim_t>(*soft, limit.rlim_max);
  if (prlimit(pid, RLIMIT_NOFILE, &limit, nullptr) != 0 && errno != ESRCH)
    return FailErrno(errno, "set limits of {}", pid);
  return {};
}

class FdLimit final : public Fault {
 public:
  Result<FaultPlan> Plan(const FaultSpec& spec, const FaultHost& host) override {
    FaultPlan plan;
    plan.spec = spec;
    FAULTLINE_ASSIGN(const auto processes, TargetProcesses(spec.target, host));
    NameVictims(processes, host, plan);
    for (const ProcessIdentity& process : NamedVictims(plan)) {
      const uint64_t limit = LimitThatLeaves(static_cast<uint64_t>(spec.Integer("spare")),
                                             OpenNumbers(*host.host, process.pid));
      plan.claims[ClaimOf(process)] = "";
      plan.state[ClaimOf(process)] = std::to_string(limit);
    }
    return plan;
  }

  Result<void> Inject(const FaultPlan& plan, const FaultHost& host) override {
    for (const ProcessIdentity& process : NamedVictims(plan))
      FAULTLINE_TRY(SetSoft(process, plan.State(ClaimOf(process)), host));
    return {};
  }

  Result<v1::Effect> Verify(const FaultPlan& plan, const FaultHost& host) override {
    size_t all = 0;
    size_t full = 0;
    for (const ProcessIdentity& process : NamedVictims(plan)) {
      struct rlimit limit {};
      if (!ReadIfSame(*host.host, process) ||
          prlimit(static_cast<pid_t>(process.pid), RLIMIT_NOFILE, nullptr, &limit) != 0) {
        continue;
      }
      ++all;
      full += limit.rlim_cur <= LimitThatLeaves(static_cast<uint64_t>(plan.spec.Integer("spare")),
                                                OpenNumbers(*host.host, process.pid));
    }
    v1::Effect effect;
    AddMeasurement(effect, plan, "processes_without_files", static_cast<double>(full),
                   static_cast<double>(all));
    effect.set_verdict(all == 0      ? v1::VERDICT_INCONCLUSIVE
                       : full == all ? v1::VERDICT_TRUE
                                     : v1::VERDICT_FALSE);
    effect.set_reason(
        fmt::format("{} of {} process(es) have as many files open as they may", full, all));
    return effect;
  }

  Result<void> Recover(const FaultPlan& plan, const FaultHost& host) override {
    for (const ProcessIdentity& process : NamedVictims(plan)) {
      const std::string claim = ClaimOf(process);
      const auto at = plan.claims.find(claim);
      const auto others = host.OthersWith(claim);
      const std::string wanted = !others.empty()           ? others.back()->State(claim)
                                 : at == plan.claims.end() ? ""
                                                           : at->second;
      if (!wanted.empty() && wanted != kAbsent) FAULTLINE_TRY(SetSoft(process, wanted, host));
    }
    return {};
  }

  std::vector<std::string> Residue(const FaultPlan&, const FaultHost&) override { return {}; }
};

constexpr ParameterRow kParameters[] = {
    {.name = "spare",
     .kind = ParameterKind::kInteger,
     .fallback = "0",
     .doc = "how many more files each can open",
     .min = 0,
     .max = 1'000'000},
};

}  // namespace

extern const FaultRow kFdLimit = {
    .name = "fd_limit",
    .doc = "Exhausts the file descriptors of the target's processes.",
    .parameters = kParameters,
    .make = [] { return std::unique_ptr<Fault>(new FdLimit); },
    .example = "spare=0",
};

}  // namespace faultline
