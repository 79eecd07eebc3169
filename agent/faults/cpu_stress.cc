// cpu_stress: workers of ours burn CPU inside the target's cgroups, so that its quota, its shares
// and its cpuset hold for them as for the target. What Verify trusts is the kernel's count of CPU
// time, of the cgroup and of each worker, never the injector. Limit: on a node without idle CPU the
// workers get less than asked; then the growth of the cgroup's use and the lack of idle time
// decide.
#include <algorithm>
#include <chrono>
#include <thread>

#include "agent/faults/fault.h"
#include "agent/faults/own_workers.h"
#include "agent/faults/target_cgroups.h"
#include "common/text.h"

namespace faultline {
namespace {

constexpr int64_t kMaxWorkers = 256;
constexpr auto kWindow = std::chrono::milliseconds(1500);

struct StressAsked {
  int64_t workers = 1;
  int64_t load_percent = 100;
  double cores() const { return static_cast<double>(workers * load_percent) / 100; }
};

StressAsked Asked(const FaultSpec& spec) { return {spec.Integer("workers"), spec.Integer("load")}; }

struct CpuReading {
  int64_t steady_ns = 0;
  int64_t cgroup_ns = 0;
  int64_t worker_ns = 0;
  int64_t node_ticks = 0;
  int64_t idle_ticks = 0;
  size_t workers = 0;
};

Result<CpuReading> ReadCpu(const FaultPlan& plan, const FaultHost& host) {
  const std::vector<CgroupFolder> folders = WorkerFolders(plan);
  const CgroupFolder* accounted = FolderOf(folders, "cpuacct");
  if (accounted == nullptr)
    return Fail(ErrorCode::kUnsupported, "no hierarchy counts the CPU time of the target");
  CpuReading reading;
  for (const LiveProcess& worker : FindWorkers(*host.host, plan.spec.uid)) {
    reading.worker_ns += worker.cpu_ns;
    ++reading.workers;
  }
  FAULTLINE_ASSIGN(reading.cgroup_ns, CgroupCpuNs(*host.host, *accounted));
  reading.steady_ns = host.host->clock->SteadyNs();
  const std::string text = host.host->fs.Read("/proc/stat").value_or("");
  std::string_view rest = text;
  std::string_view line;
  if (NextLine(rest, line)) {
    NextWord(line);
    for (int column = 0; column < 8; ++column) {  // user nice system idle iowait irq softirq steal
      const int64_t ticks = ParseInt(NextWord(line)).value_or(0);
      reading.node_ticks += ticks;
      if (column == 3 || column == 4) reading.idle_ticks += ticks;
    }
  }
  return reading;
}

double NumberOr(const std::map<std::string, double>& numbers, const std::string& name,
                double otherwise) {
  const auto at = numbers.find(name);
  return at == numbers.end() ? otherwise : at->second;
}

struct Rates {
  double cgroup = 0;
  double workers = 0;
  double idle_share = 0;
  size_t worker_count = 0;
};

void Judge(v1::Effect& effect, const Rates& rates, double asked, double limit, double before) {
  const auto say = [&](v1::Verdict verdict, std::string reason) {
    effect.set_verdict(verdict);
    effect.set_reason(std::move(reason));
  };
  const double possible = limit > 0 ? std::min(asked, limit) : asked;
  if (rates.worker_count == 0) return say(v1::VERDICT_FALSE, "no worker runs");
  if (rates.cgroup < 0.9 * rates.workers - 0.02) {
    return say(v1::VERDICT_FALSE, fmt::format("workers use {:.2f} cores, their cgroup only {:.2f}",
                                              rates.workers, rates.cgroup));
  }
  if (rates.workers >= 0.9 * possible || rates.cgroup - before >= 0.9 * possible) {
    return say(
        v1::VERDICT_TRUE,
        fmt::format("workers use {:.2f} of {:.2f} cores asked, counted in the target's cgroup",
                    rates.workers, asked));
  }
  if (limit > 0 && rates.cgroup >= 0.9 * limit) {
    return say(v1::VERDICT_TRUE,
               fmt::format("the target's cgroup is at its limit of {:.2f} cores", limit));
  }
  if (rates.idle_share < 0.05 && rates.workers >= 0.25 * possible) {
    return say(v1::VERDICT_TRUE,
               fmt::format("the node has no idle CPU left; workers got {:.2f} of {:.2f} cores",
                           rates.workers, asked));
  }
  say(v1::VERDICT_INCONCLUSIVE,
      fmt::format("workers got {:.2f} of {:.2f} cores", rates.workers, asked));
}

class CpuStress final : public Fault {
 public:
  Result<FaultPlan> Plan(const FaultSpec& spec, const FaultHost& host) override {
    const StressAsked asked = Asked(spec);
    FaultPlan plan;
    plan.spec = spec;
    FAULTLINE_ASSIGN(const std::vector<CgroupFolder> placed, PlanWorkerFolders(plan, host));
    if (FolderOf(placed, "cpuacct") == nullptr) {
      return Fail(ErrorCode::kUnsupported, "no hierarchy counts the CPU time of {}",
                  plan.State("whom"));
    }
    plan.state["limit_cores"] = FormatDouble(CgroupCpuLimit(*host.host, placed));
    plan.victims.push_back(fmt::format("{}: {} worker(s) of {} % of a CPU", plan.State("whom"),
                                       asked.workers, asked.load_percent));
    return plan;
  }

  Result<void> Inject(const FaultPlan& plan, const FaultHost& host) override {
    const StressAsked asked = Asked(plan.spec);
    WorkerOrder order;
    order.kind = "cpu";
    order.load_percent = static_cast<int>(asked.load_percent);
    return StartWorkers(plan, asked.workers, order, host);
  }

  Result<v1::Effect> Verify(const FaultPlan& plan, const FaultHost& host) override {
    const StressAsked asked = Asked(plan.spec);
    FAULTLINE_ASSIGN(const CpuReading first, ReadCpu(plan, host));
    std::this_thread::sleep_for(kWindow);
    FAULTLINE_ASSIGN(const CpuReading last, ReadCpu(plan, host));
    const double elapsed =
        static_cast<double>(std::max<int64_t>(last.steady_ns - first.steady_ns, 1));
    const double ticks =
        static_cast<double>(std::max<int64_t>(last.node_ticks - first.node_ticks, 1));
    Rates rates;
    rates.cgroup = static_cast<double>(last.cgroup_ns - first.cgroup_ns) / elapsed;
    rates.workers = static_cast<double>(last.worker_ns - first.worker_ns) / elapsed;
    rates.idle_share = static_cast<double>(last.idle_ticks - first.idle_ticks) / ticks;
    rates.worker_count = last.workers;
    const double before = NumberOr(plan.before, "cgroup_cpu_cores", 0);
    const auto limit_text = plan.state.find("limit_cores");
    const double limit =
        limit_text == plan.state.end() ? 0 : ParseDouble(limit_text->second).value_or(0);
    v1::Effect effect;
    AddMeasurement(effect, plan, "worker_cpu_cores", rates.workers, asked.cores());
    AddMeasurement(effect, plan, "cgroup_cpu_cores", rates.cgroup,
                   limit > 0 ? std::min(before + asked.cores(), limit) : before + asked.cores());
    AddMeasurement(effect, plan, "workers", static_cast<double>(rates.worker_count),
                   static_cast<double>(asked.workers));
    Judge(effect, rates, asked.cores(), limit, before);
    return effect;
  }

  Result<void> Recover(const FaultPlan& plan, const FaultHost& host) override {
    return RecoverWorkers(plan, host);
  }
  std::vector<std::string> Residue(const FaultPlan& plan, const FaultHost& host) override {
    return WorkerResidue(plan, host);
  }
  std::vector<std::string> Sweep(const FaultHost& host) override {
    return SweepWorkerCgroups(host);
  }
};

constexpr ParameterRow kParameters[] = {
    {.name = "workers",
     .kind = ParameterKind::kInteger,
     .fallback = "1",
     .doc = "how many processes burn CPU",
     .min = 1,
     .max = kMaxWorkers},
    {.name = "load",
     .kind = ParameterKind::kInteger,
     .fallback = "100",
     .doc = "per cent of one CPU each",
     .min = 1,
     .max = 100},
};

}  // namespace

extern const FaultRow kCpuStress = {
    .name = "cpu_stress",
    .doc = "Burns CPU inside the cgroups of the target.",
    .parameters = kParameters,
    .make = [] { return std::unique_ptr<Fault>(new CpuStress); },
    .example = "workers=1 load=30",
};

}  // namespace faultline
