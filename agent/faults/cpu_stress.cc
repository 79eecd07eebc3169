// cpu_stress: workers of ours burn CPU inside the target's cgroups, so that its quota, its shares
// and its cpuset hold for them as for the target. What Verify trusts is the kernel's count of CPU
// time, of the cgroup and of each worker, never the injector. Limit: on a node without idle CPU the
// workers get less than asked; then the growth of the cgroup's use and the lack of idle time
// decide.
#include <algorithm>
#include <chrono>
#include <thread>

#include "agent/faults/fault.h"
#include "agent/faults/stress_worker.h"
#include "agent/faults/target_cgroups.h"
#include "common/text.h"

namespace faultline {
namespace {

constexpr int64_t kMaxWorkers = 256;
constexpr auto kWindow = std::chrono::milliseconds(1500);
constexpr int64_t kLifetimeMarginS = 5;

struct StressAsked {
  int64_t workers = 1;
  int64_t load_percent = 100;
  double cores() const { return static_cast<double>(workers * load_percent) / 100; }
};

Result<StressAsked> ReadParameters(const FaultSpec& spec) {
  StressAsked asked;
  for (const auto& [name, text] : spec.parameters) {
    const auto value = ParseInt(text);
    if (name == "workers") {
      if (!value || *value < 1 || *value > kMaxWorkers) {
        return Fail(ErrorCode::kInvalidArgument, "parameters.workers: '{}' is not 1 to {}", text,
                    kMaxWorkers);
      }
      asked.workers = *value;
    } else if (name == "load") {
      if (!value || *value < 1 || *value > 100) {
        return Fail(ErrorCode::kInvalidArgument,
                    "parameters.load: '{}' is not 1 to 100 (per cent of a CPU)", text);
      }
      asked.load_percent = *value;
    } else {
      return Fail(ErrorCode::kInvalidArgument, "parameters.{}: cpu_stress knows workers and load",
                  name);
    }
  }
  return asked;
}

std::vector<CgroupFolder> PlannedFolders(const FaultPlan& plan) {
  std::vector<CgroupFolder> folders;
  const auto text = plan.state.find("folders");
  if (text == plan.state.end()) return folders;
  for (const std::string_view row : Split(text->second, '\n')) {
    const size_t tab = row.find('\t');
    if (tab == std::string_view::npos) continue;
    folders.push_back({std::string(row.substr(0, tab)), std::string(row.substr(tab + 1))});
  }
  return folders;
}

// A v2 cgroup whose controllers are handed down to children takes no processes itself; then the
// workers get a child of their own there.
std::string OwnChild(const FaultPlan& plan, const CgroupFolder& folder) {
  return folder.path + "/faultline-" + plan.spec.uid;
}

Result<void> PlaceWorker(uint32_t pid, const FaultPlan& plan, const FaultHost& host) {
  const std::string text = std::to_string(pid);
  for (const CgroupFolder& folder : PlannedFolders(plan)) {
    Result<void> placed = WriteControl(*host.host, folder.path + "/cgroup.procs", text);
    if (!placed && folder.controller.empty()) {
      const std::string child = OwnChild(plan, folder);
      FAULTLINE_TRY(MakeCgroup(*host.host, child));
      placed = WriteControl(*host.host, child + "/cgroup.procs", text);
    }
    if (!placed) return placed;
  }
  return {};
}

struct CpuReading {
  int64_t steady_ns = 0;
  int64_t cgroup_ns = 0;
  int64_t worker_ns = 0;
  int64_t node_ticks = 0;
  int64_t idle_ticks = 0;
  size_t workers = 0;
};

Result<CpuReading> ReadCpu(const FaultPlan& plan, const FaultHost& host) {
  const std::vector<CgroupFolder> folders = PlannedFolders(plan);
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

void AddMeasurement(v1::Effect& effect, const FaultPlan& plan, const std::string& name,
                    double during, double asked) {
  v1::Measurement& measurement = *effect.add_measurements();
  measurement.set_name(name);
  measurement.set_before(NumberOr(plan.before, name, 0));
  measurement.set_during(during);
  measurement.set_asked(asked);
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
    FAULTLINE_ASSIGN(const StressAsked asked, ReadParameters(spec));
    if (host.worker_program.empty())
      return Fail(ErrorCode::kUnsupported, "no worker program is installed");
    uint32_t pid = 0;
    if (spec.target.cgroup().empty() && spec.target.container_id().empty() &&
        spec.target.pid() != 0) {
      pid = spec.target.pid();
      FAULTLINE_TRY(ReadLiveProcess(*host.host, pid));
    }
    FAULTLINE_ASSIGN(const std::string cgroup, TargetCgroup(spec.target, host));
    FaultPlan plan;
    plan.spec = spec;
    std::string folders;
    std::vector<CgroupFolder> placed;
    for (CgroupFolder& folder : TargetFolders(cgroup, pid, host)) {
      // A frozen v1 process cannot even be killed: the workers stay out of that hierarchy.
      if (folder.controller == "freezer") continue;
      folders += folder.controller + "\t" + folder.path + "\n";
      placed.push_back(std::move(folder));
    }
    if (FolderOf(placed, "cpuacct") == nullptr) {
      return Fail(ErrorCode::kUnsupported, "no hierarchy counts the CPU time of {}", cgroup);
    }
    plan.state["folders"] = folders;
    plan.state["limit_cores"] = FormatDouble(CgroupCpuLimit(*host.host, placed));
    const std::string whom =
        pid != 0 ? fmt::format("the cgroups of pid {}", pid) : fmt::format("cgroup {}", cgroup);
    plan.victims.push_back(
        fmt::format("{}: {} worker(s) of {} % of a CPU", whom, asked.workers, asked.load_percent));
    return plan;
  }

  Result<void> Inject(const FaultPlan& plan, const FaultHost& host) override {
    FAULTLINE_ASSIGN(const StressAsked asked, ReadParameters(plan.spec));
    WorkerOrder order{plan.spec.uid, host.journal_folder, "cpu",
                      static_cast<int>(asked.load_percent),
                      plan.spec.duration_ms / 1000 + kLifetimeMarginS};
    for (int64_t i = 0; i < asked.workers; ++i) {
      const auto worker =
          StartWorker(order, host, [&](uint32_t pid) { return PlaceWorker(pid, plan, host); });
      if (!worker) return std::unexpected(worker.error());
    }
    return {};
  }

  Result<v1::Effect> Verify(const FaultPlan& plan, const FaultHost& host) override {
    FAULTLINE_ASSIGN(const StressAsked asked, ReadParameters(plan.spec));
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
    FAULTLINE_TRY(EndWorkers(*host.host, plan.spec.uid));
    for (const CgroupFolder& folder : PlannedFolders(plan)) {
      if (folder.controller.empty())
        FAULTLINE_TRY(RemoveCgroup(*host.host, OwnChild(plan, folder)));
    }
    return {};
  }

  std::vector<std::string> Residue(const FaultPlan& plan, const FaultHost& host) override {
    std::vector<std::string> residue;
    for (const LiveProcess& worker : FindWorkers(*host.host, plan.spec.uid)) {
      residue.push_back(fmt::format("worker pid {}", worker.pid));
    }
    for (const CgroupFolder& folder : PlannedFolders(plan)) {
      if (folder.controller.empty() && FolderInode(*host.host, OwnChild(plan, folder)) != 0) {
        residue.push_back("cgroup " + OwnChild(plan, folder));
      }
    }
    return residue;
  }
};

}  // namespace

std::unique_ptr<Fault> MakeCpuStress() { return std::make_unique<CpuStress>(); }

}  // namespace faultline
