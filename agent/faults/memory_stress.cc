// memory_stress and io_stress: workers of ours in the target's cgroups hold memory, or write and
// sync. The memory is charged to the target, so that its limit holds and the kernel's choice of a
// victim is between the target and the workers (oomScoreAdj). Verify trusts what the kernel says of
// the workers.
#include <algorithm>
#include <chrono>
#include <thread>

#include "agent/faults/own_workers.h"
#include "common/text.h"

namespace faultline {
namespace {

constexpr int64_t kMaxWorkers = 256;
constexpr auto kWindow = std::chrono::milliseconds(1500);
constexpr double kReserve = 0.9;  // so much of what the node has left may go

uint64_t MemInfo(const HostView& host, std::string_view name) {
  const auto text = host.fs.Read("/proc/meminfo");
  if (!text) return 0;
  std::string_view rest = *text;
  std::string_view line;
  while (NextLine(rest, line)) {
    if (NextWord(line) == name) return ParseUint(NextWord(line)).value_or(0) * 1024;
  }
  return 0;
}

// 0: none.
uint64_t MemoryLimit(const HostView& host, const std::vector<CgroupFolder>& folders) {
  const CgroupFolder* folder = FolderOf(folders, "memory");
  if (folder == nullptr) return 0;
  const auto text = host.fs.ReadTrimmed(
      folder->path + (folder->controller.empty() ? "/memory.max" : "/memory.limit_in_bytes"));
  const auto limit = text ? ParseUint(*text) : std::nullopt;
  return limit && *limit < (uint64_t{1} << 60) ? *limit : 0;
}

uint64_t ResidentBytes(const HostView& host, uint32_t pid) {
  const auto text = host.fs.Read(fmt::format("/proc/{}/statm", pid));
  if (!text) return 0;
  std::string_view words = *text;
  NextWord(words);
  const uint64_t resident = ParseUint(NextWord(words)).value_or(0);
  const uint64_t shared = ParseUint(NextWord(words)).value_or(0);  // its program, not its memory
  return (resident - std::min(shared, resident)) * static_cast<uint64_t>(host.page_size);
}

uint64_t WrittenBytes(const HostView& host, uint32_t pid) {
  const auto text = host.fs.Read(fmt::format("/proc/{}/io", pid));
  if (!text) return 0;
  std::string_view rest = *text;
  std::string_view line;
  while (NextLine(rest, line)) {
    if (NextWord(line) == "wchar:") return ParseUint(Trim(line)).value_or(0);
  }
  return 0;
}

class MemoryStress final : public Fault {
 public:
  Result<FaultPlan> Plan(const FaultSpec& spec, const FaultHost& host) override {
    FaultPlan plan;
    plan.spec = spec;
    FAULTLINE_ASSIGN(const std::vector<CgroupFolder> folders, PlanWorkerFolders(plan, host));
    const uint64_t available = MemInfo(*host.host, "MemAvailable:");
    const uint64_t limit = MemoryLimit(*host.host, folders);
    uint64_t bytes =
        limit > 0 ? limit : static_cast<uint64_t>(static_cast<double>(available) * kReserve);
    if (spec.Has("size")) {
      const ParsedSize size = spec.Size("size");
      const uint64_t whole = limit > 0 ? limit : MemInfo(*host.host, "MemTotal:");
      bytes = size.percent ? static_cast<uint64_t>(static_cast<double>(whole) * *size.percent / 100)
                           : size.bytes;
    }
    // In a limited cgroup only the target can be hurt; without a limit it would be everybody.
    if (limit == 0 && static_cast<double>(bytes) > static_cast<double>(available) * kReserve) {
      return Fail(ErrorCode::kPermissionDenied,
                  "parameters.size: {} bytes in a cgroup without a limit; the node has {} left, "
                  "and others live there",
                  bytes, available);
    }
    plan.state["bytes"] = std::to_string(bytes);
    plan.victims.push_back(fmt::format("{}: {} worker(s) that hold {} bytes together",
                                       plan.State("whom"), spec.Integer("workers"), bytes));
    return plan;
  }

  Result<void> Inject(const FaultPlan& plan, const FaultHost& host) override {
    WorkerOrder order;
    order.kind = "memory";
    order.amount = ParseInt(plan.State("bytes")).value_or(0) /
                   std::max<int64_t>(plan.spec.Integer("workers"), 1);
    order.oom_score_adj = static_cast<int>(plan.spec.Integer("oomScoreAdj"));
    return StartWorkers(plan, plan.spec.Integer("workers"), order, host);
  }

  Result<v1::Effect> Verify(const FaultPlan& plan, const FaultHost& host) override {
    const double asked = ParseDouble(plan.State("bytes")).value_or(0);
    double held = 0;
    size_t workers = 0;
    for (int i = 0; i < 15; ++i) {  // they touch page by page
      held = 0;
      const auto found = FindWorkers(*host.host, plan.spec.uid);
      workers = found.size();
      for (const LiveProcess& worker : found)
        held += static_cast<double>(ResidentBytes(*host.host, worker.pid));
      if (held >= asked || workers == 0) break;
      std::this_thread::sleep_for(kWindow / 15);
    }
    v1::Effect effect;
    AddMeasurement(effect, plan, "worker_memory_bytes", held, asked);
    AddMeasurement(effect, plan, "workers", static_cast<double>(workers),
                   static_cast<double>(plan.spec.Integer("workers")));
    const bool full = held >= 0.9 * asked && workers > 0;
    effect.set_verdict(full           ? v1::VERDICT_TRUE
                       : workers == 0 ? v1::VERDICT_FALSE
                                      : v1::VERDICT_INCONCLUSIVE);
    effect.set_reason(workers == 0 ? "no worker lives (killed for want of memory, or not begun)"
                                   : fmt::format("{} worker(s) hold {:.0f} of {:.0f} bytes",
                                                 workers, held, asked));
    return effect;
  }

  Result<void> Recover(const FaultPlan& plan, const FaultHost& host) override {
    return RecoverWorkers(plan, host);
  }
  std::vector<std::string> Residue(const FaultPlan& plan, const FaultHost& host) override {
    return WorkerResidue(plan, host);
  }
};

class IoStress final : public Fault {
 public:
  Result<FaultPlan> Plan(const FaultSpec& spec, const FaultHost& host) override {
    FaultPlan plan;
    plan.spec = spec;
    FAULTLINE_TRY(PlanWorkerFolders(plan, host));
    if (!host.host->fs.Exists(spec.Text("path")))
      return Fail(ErrorCode::kInvalidArgument, "parameters.path: there is no folder {}",
                  spec.Text("path"));
    plan.victims.push_back(fmt::format("{}: {} worker(s) that write and sync in {}",
                                       plan.State("whom"), spec.Integer("workers"),
                                       spec.Text("path")));
    return plan;
  }

  Result<void> Inject(const FaultPlan& plan, const FaultHost& host) override {
    WorkerOrder order;
    order.kind = "io";
    order.amount = static_cast<int64_t>(plan.spec.Bytes("size"));
    order.place = host.host->fs.Path(plan.spec.Text("path"));
    return StartWorkers(plan, plan.spec.Integer("workers"), order, host);
  }

  Result<v1::Effect> Verify(const FaultPlan& plan, const FaultHost& host) override {
    const auto written = [&] {
      double total = 0;
      for (const LiveProcess& worker : FindWorkers(*host.host, plan.spec.uid))
        total += static_cast<double>(WrittenBytes(*host.host, worker.pid));
      return total;
    };
    const double before = written();
    std::this_thread::sleep_for(kWindow);
    const double rate = (written() - before) / 1.5;
    const size_t workers = FindWorkers(*host.host, plan.spec.uid).size();
    v1::Effect effect;
    AddMeasurement(effect, plan, "bytes_written_per_second", rate, 0);
    AddMeasurement(effect, plan, "workers", static_cast<double>(workers),
                   static_cast<double>(plan.spec.Integer("workers")));
    effect.set_verdict(rate > 0 && workers > 0 ? v1::VERDICT_TRUE : v1::VERDICT_FALSE);
    effect.set_reason(fmt::format("{} worker(s) write {:.0f} bytes per second", workers, rate));
    return effect;
  }

  Result<void> Recover(const FaultPlan& plan, const FaultHost& host) override {
    return RecoverWorkers(plan, host);
  }
  std::vector<std::string> Residue(const FaultPlan& plan, const FaultHost& host) override {
    return WorkerResidue(plan, host);
  }
};

constexpr ParameterRow kMemory[] = {
    {.name = "workers",
     .kind = ParameterKind::kInteger,
     .fallback = "1",
     .doc = "how many processes share it",
     .min = 1,
     .max = kMaxWorkers},
    {.name = "size",
     .kind = ParameterKind::kSize,
     .doc = "bytes together, or per cent of the limit or of the node's memory; all there is unless "
            "given"},
    {.name = "oomScoreAdj",
     .kind = ParameterKind::kInteger,
     .fallback = "0",
     .doc = "how likely the workers are chosen when memory runs out",
     .min = -1000,
     .max = 1000},
};
constexpr ParameterRow kIo[] = {
    {.name = "workers",
     .kind = ParameterKind::kInteger,
     .fallback = "1",
     .doc = "how many processes write",
     .min = 1,
     .max = kMaxWorkers},
    {.name = "path", .fallback = "/tmp", .doc = "folder of the files, which have no name"},
    {.name = "size",
     .kind = ParameterKind::kBytes,
     .fallback = "64MiB",
     .doc = "of each file",
     .min = 65536,
     .max = 1e12},
};

}  // namespace

extern const FaultRow kMemoryStress = {
    .name = "memory_stress",
    .doc = "Holds memory inside the cgroups of the target.",
    .parameters = kMemory,
    .make = [] { return std::unique_ptr<Fault>(new MemoryStress); },
    .example = "workers=2 size=24MiB oomScoreAdj=500",
};
extern const FaultRow kIoStress = {
    .name = "io_stress",
    .doc = "Writes and syncs inside the cgroups of the target.",
    .parameters = kIo,
    .make = [] { return std::unique_ptr<Fault>(new IoStress); },
    .example = "workers=1 path={folder} size=1MiB",
};

}  // namespace faultline
