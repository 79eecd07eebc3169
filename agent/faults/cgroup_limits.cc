// A target gets less than it is used to: memory_limit, cpu_quota, pid_limit. One number in a file
// of its cgroup each, put back as it was (layered_value.h). Verify reads other counters than the
// file that was written: what the kernel enforces, and whether somebody ran into it.
#include <algorithm>
#include <chrono>
#include <thread>

#include "agent/faults/layered_value.h"
#include "agent/faults/victims.h"
#include "common/text.h"

namespace faultline {
namespace {

constexpr auto kWindow = std::chrono::milliseconds(1500);
constexpr int64_t kPeriodUs = 100'000;
constexpr int64_t kMinQuotaUs = 1000;  // what the kernel takes
constexpr uint64_t kMinMemoryBytes = uint64_t{1} << 20;

double Counter(const HostView& host, const std::string& path, std::string_view name) {
  const auto text = host.fs.Read(path);
  if (!text) return 0;
  std::string_view rest = *text;
  std::string_view line;
  while (NextLine(rest, line)) {
    if (NextWord(line) == name) return ParseDouble(Trim(line)).value_or(0);
  }
  return 0;
}

double NumberIn(const HostView& host, const std::string& path, double otherwise) {
  const auto text = host.fs.ReadTrimmed(path);
  return text ? ParseDouble(*text).value_or(otherwise) : otherwise;
}

bool IsV1(const FaultPlan& plan) { return plan.State("v1") == "1"; }

class CgroupLimit : public Fault {
 public:
  Result<FaultPlan> Plan(const FaultSpec& spec, const FaultHost& host) final {
    FaultPlan plan;
    plan.spec = spec;
    FAULTLINE_ASSIGN(const CgroupFolder folder,
                     TargetFolder(spec.target, Controller(), host, plan));
    plan.state["folder"] = folder.path;
    plan.state["v1"] = folder.controller.empty() ? "0" : "1";
    FAULTLINE_TRY(PlanFile(plan, host));
    for (const auto& [claim, nothing] : plan.claims) {
      if (!host.host->fs.Exists(claim.substr(claim.find(':') + 1)))
        return Fail(ErrorCode::kUnsupported, "unsupported: {} is not there", claim);
      plan.victims.back() +=
          fmt::format(": {} becomes {}", claim.substr(claim.rfind('/') + 1), plan.State(claim));
    }
    return plan;
  }
  Result<void> Inject(const FaultPlan& plan, const FaultHost& host) final {
    return ApplyControls(plan, host);
  }
  Result<void> Recover(const FaultPlan& plan, const FaultHost& host) final {
    return RestoreControls(plan, host);
  }
  std::vector<std::string> Residue(const FaultPlan&, const FaultHost&) final { return {}; }

 protected:
  virtual std::string_view Controller() const = 0;
  virtual Result<void> PlanFile(FaultPlan& plan, const FaultHost& host) const = 0;
};

// ---- memory_limit
// --------------------------------------------------------------------------------

class MemoryLimit final : public CgroupLimit {
 public:
  Result<v1::Effect> Verify(const FaultPlan& plan, const FaultHost& host) override {
    const std::string folder = plan.State("folder");
    const double limit =
        IsV1(plan) ? Counter(*host.host, folder + "/memory.stat", "hierarchical_memory_limit")
                   : NumberIn(*host.host, folder + "/memory.max", 9.2e18);
    const double used = NumberIn(
        *host.host, folder + (IsV1(plan) ? "/memory.usage_in_bytes" : "/memory.current"), 0);
    const double asked = ParseDouble(plan.State("bytes")).value_or(0);
    v1::Effect effect;
    AddMeasurement(effect, plan, "memory_limit_bytes", limit, asked);
    AddMeasurement(effect, plan, "memory_used_bytes", used, asked);
    const bool holds = limit > 0 && limit <= asked;
    effect.set_verdict(holds ? v1::VERDICT_TRUE : v1::VERDICT_FALSE);
    effect.set_reason(fmt::format("the kernel enforces {:.0f} bytes, {:.0f} asked, {:.0f} used",
                                  limit, asked, used));
    return effect;
  }

 private:
  std::string_view Controller() const override { return "memory"; }
  Result<void> PlanFile(FaultPlan& plan, const FaultHost& host) const override {
    const std::string folder = plan.State("folder");
    const bool v1 = IsV1(plan);
    const double used =
        NumberIn(*host.host, folder + (v1 ? "/memory.usage_in_bytes" : "/memory.current"), 0);
    const ParsedSize size = plan.spec.Size("size");
    uint64_t bytes = size.percent ? static_cast<uint64_t>(used * *size.percent / 100) : size.bytes;
    bytes = std::max(bytes / 4096 * 4096, kMinMemoryBytes);
    plan.state["bytes"] = std::to_string(bytes);
    ClaimControl(plan, folder + (v1 ? "/memory.limit_in_bytes" : "/memory.max"),
                 std::to_string(bytes));
    return {};
  }
};

// ---- cpu_quota
// -----------------------------------------------------------------------------------

class CpuQuota final : public CgroupLimit {
 public:
  Result<v1::Effect> Verify(const FaultPlan& plan, const FaultHost& host) override {
    const std::string folder = plan.State("folder");
    const auto all = TargetFolders(plan.State("cgroup"), 0, host);
    const CgroupFolder* accounted = FolderOf(all, "cpuacct");
    if (accounted == nullptr)
      return Fail(ErrorCode::kNotFound, "cgroup {} is gone", plan.State("cgroup"));
    const double throttled_before = Counter(*host.host, folder + "/cpu.stat", "nr_throttled");
    const int64_t begin_ns = host.host->clock->SteadyNs();
    const int64_t used_before = CgroupCpuNs(*host.host, *accounted).value_or(0);
    std::this_thread::sleep_for(kWindow);
    const double elapsed =
        static_cast<double>(std::max<int64_t>(host.host->clock->SteadyNs() - begin_ns, 1));
    const double cores =
        static_cast<double>(CgroupCpuNs(*host.host, *accounted).value_or(0) - used_before) /
        elapsed;
    const double throttled =
        Counter(*host.host, folder + "/cpu.stat", "nr_throttled") - throttled_before;
    const double asked = plan.spec.Number("cores");
    v1::Effect effect;
    AddMeasurement(effect, plan, "cgroup_cpu_cores", cores, asked);
    AddMeasurement(effect, plan, "throttled_periods", throttled, 0);
    if (throttled > 0 && cores <= asked * 1.1 + 0.01) {
      effect.set_verdict(v1::VERDICT_TRUE);
      effect.set_reason(
          fmt::format("throttled in {:.0f} periods, uses {:.3f} of {:.3f} cores allowed", throttled,
                      cores, asked));
    } else {
      effect.set_verdict(v1::VERDICT_FALSE);
      effect.set_reason(
          throttled > 0
              ? fmt::format("uses {:.3f} cores, more than {:.3f}", cores, asked)
              : fmt::format("nothing was throttled: the target wants {:.3f} cores", cores));
    }
    return effect;
  }

 private:
  std::string_view Controller() const override { return "cpu"; }
  Result<void> PlanFile(FaultPlan& plan, const FaultHost& host) const override {
    FAULTLINE_ASSIGN(plan.state["cgroup"], TargetCgroup(plan.spec.target, host));
    const std::string folder = plan.State("folder");
    const auto quota_us =
        std::max(static_cast<int64_t>(plan.spec.Number("cores") * kPeriodUs), kMinQuotaUs);
    if (!IsV1(plan)) {
      ClaimControl(plan, folder + "/cpu.max", fmt::format("{} {}", quota_us, kPeriodUs));
      return {};
    }
    const double period_us = NumberIn(*host.host, folder + "/cpu.cfs_period_us", kPeriodUs);
    const auto scaled =
        std::max(static_cast<int64_t>(plan.spec.Number("cores") * period_us), kMinQuotaUs);
    ClaimControl(plan, folder + "/cpu.cfs_quota_us", std::to_string(scaled));
    return {};
  }
};

// ---- pid_limit
// -----------------------------------------------------------------------------------

class PidLimit final : public CgroupLimit {
 public:
  Result<v1::Effect> Verify(const FaultPlan& plan, const FaultHost& host) override {
    const std::string folder = plan.State("folder");
    const double now = NumberIn(*host.host, folder + "/pids.current", 0);
    const double limit = NumberIn(*host.host, folder + "/pids.max", 1e9);
    const double left = std::max(0.0, limit - now);
    const auto spare = static_cast<double>(plan.spec.Integer("spare"));
    v1::Effect effect;
    AddMeasurement(effect, plan, "pids_left", left, spare);
    AddMeasurement(effect, plan, "pids_refused_total",
                   Counter(*host.host, folder + "/pids.events", "max"), 0);
    effect.set_verdict(left <= spare ? v1::VERDICT_TRUE : v1::VERDICT_FALSE);
    effect.set_reason(
        fmt::format("{:.0f} of {:.0f} tasks are there, {:.0f} more can be", now, limit, left));
    return effect;
  }

 private:
  std::string_view Controller() const override { return "pids"; }
  Result<void> PlanFile(FaultPlan& plan, const FaultHost& host) const override {
    const std::string folder = plan.State("folder");
    const double now = NumberIn(*host.host, folder + "/pids.current", 0);
    ClaimControl(plan, folder + "/pids.max",
                 std::to_string(static_cast<int64_t>(now) + plan.spec.Integer("spare")));
    return {};
  }
};

constexpr ParameterRow kMemory[] = {
    {.name = "size",
     .kind = ParameterKind::kSize,
     .doc = "the limit in bytes, or per cent of what is in use now",
     .required = true},
};
constexpr ParameterRow kCpu[] = {
    {.name = "cores",
     .kind = ParameterKind::kNumber,
     .doc = "CPUs' worth that it may use",
     .required = true,
     .min = 0.01,
     .max = 1024},
};
constexpr ParameterRow kPids[] = {
    {.name = "spare",
     .kind = ParameterKind::kInteger,
     .fallback = "0",
     .doc = "how many more tasks can be made",
     .min = 0,
     .max = 100'000},
};

}  // namespace

extern const FaultRow kMemoryLimit = {
    .name = "memory_limit",
    .doc = "Squeezes the memory limit of the target's cgroup.",
    .parameters = kMemory,
    .make = [] { return std::unique_ptr<Fault>(new MemoryLimit); },
    .example = "size=64MiB",
};
extern const FaultRow kCpuQuota = {
    .name = "cpu_quota",
    .doc = "Lets the target's cgroup use so many CPUs' worth at most.",
    .parameters = kCpu,
    .make = [] { return std::unique_ptr<Fault>(new CpuQuota); },
    .example = "cores=0.03",
};
extern const FaultRow kPidLimit = {
    .name = "pid_limit",
    .doc = "Exhausts the process ids of the target's cgroup: it cannot fork.",
    .parameters = kPids,
    .make = [] { return std::unique_ptr<Fault>(new PidLimit); },
    .example = "spare=0",
};

}  // namespace faultline
