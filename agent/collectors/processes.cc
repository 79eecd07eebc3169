// The processes that use most CPU and most memory, and how many there are in which state:
// /proc/<pid>/stat of all. A process that was among the top stays for half a minute, so that its
// rates have two points and series do not come and go with every pass. On nodes with very many
// processes the scan is shared out over several passes.
#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <unordered_map>

#include "agent/collectors/collector.h"
#include "common/process_stat.h"
#include "faultline/v1/config.pb.h"

namespace faultline {
namespace {

constexpr MetricFamily Gauge(std::string_view name, std::string_view help) {
  return {name, v1::METRIC_TYPE_GAUGE, help};
}
constexpr MetricFamily kCpu = {"faultline_process_cpu_seconds_total", v1::METRIC_TYPE_COUNTER,
                               "CPU time of a process that is among the top."};
constexpr MetricFamily kResident =
    Gauge("faultline_process_resident_memory_bytes", "Memory of a process that is among the top.");
constexpr MetricFamily kThreads =
    Gauge("faultline_process_threads", "Threads of a process that is among the top.");
constexpr MetricFamily kStart = Gauge("faultline_process_start_time_seconds",
                                      "When a process that is among the top began, unix time.");
constexpr MetricFamily kPids = Gauge("node_processes_pids", "Processes on the node.");
constexpr MetricFamily kAllThreads = Gauge("node_processes_threads", "Threads on the node.");
constexpr MetricFamily kStates = Gauge("node_processes_state", "Processes on the node by state.");

constexpr uint32_t kDefaultTop = 10;
constexpr int64_t kLingerNs = 30 * kNsPerSecond;
constexpr int64_t kResolveEveryNs =
    10 * kNsPerSecond;  // processes hardly ever move to another cgroup
constexpr size_t kMaxReadsPerPass = 2000;
constexpr uint32_t kIdleReads = 10;  // reads without work that make a process idle
constexpr uint64_t kIdlePasses = 4;  // an idle process is read once in so many passes
constexpr std::string_view kStateLetters = "DIRSTZt";

struct Process {
  uint64_t start_ticks = 0;  // with the pid, names a process for ever
  uint64_t cpu_ticks = 0;
  uint64_t recent_ticks = 0;  // since it was last read
  uint64_t resident_pages = 0;
  uint64_t threads = 0;
  uint32_t idle_reads = 0;
  char state = '?';
  std::string comm;
  uint64_t pass = 0;
  int64_t top_until_ns = 0;  // steady
  std::string cgroup_path;   // of its container; empty: the node's own
  int64_t resolved_ns = 0;   // steady
};

void Update(Process& process, const ProcessStat& stat) {
  const bool same = process.start_ticks == stat.start_ticks && process.pass != 0;
  process.recent_ticks =
      same && stat.cpu_ticks > process.cpu_ticks ? stat.cpu_ticks - process.cpu_ticks : 0;
  if (!same) process.top_until_ns = process.resolved_ns = 0;
  process.idle_reads = process.recent_ticks == 0 && same ? process.idle_reads + 1 : 0;
  process.start_ticks = stat.start_ticks;
  process.cpu_ticks = stat.cpu_ticks;
  process.resident_pages = stat.resident_pages;
  process.threads = stat.threads;
  process.state = stat.state;
  if (process.comm != stat.comm) process.comm = stat.comm;
}

class ProcessesCollector final : public Collector {
 public:
  ProcessesCollector(const HostView& host, ContainerIndex* containers, uint32_t top)
      : host_(host), containers_(containers), top_(top) {
    const std::string text = host.fs.Read("/proc/stat").value_or("");
    const size_t boot = text.find("\nbtime ");
    if (boot == std::string::npos) return;
    std::string_view rest = std::string_view(text).substr(boot + 7);
    boot_seconds_ = static_cast<double>(ParseUint(NextWord(rest)).value_or(0));
  }
  ~ProcessesCollector() override {
    if (folder_ != nullptr) closedir(folder_);
  }

  Result<void> Collect(Emitter& out) override {
    FAULTLINE_TRY(Scan());
    EmitTotals(out);
    MarkTop();
    const int64_t now = host_.clock->SteadyNs();
    for (auto& [pid, process] : processes_) {
      if (process.top_until_ns <= now) continue;
      Resolve(pid, process, now);
      EmitProcess(out, pid, process);
    }
    return {};
  }

 private:
  Result<void> Scan() {
    if (folder_ == nullptr) folder_ = opendir(host_.fs.Path("/proc").c_str());
    if (folder_ == nullptr) return FailErrno(errno, "open folder {}", host_.fs.Path("/proc"));
    rewinddir(folder_);
    ++pass_;
    // A node with more processes than one pass may read gets each of them read every `share`
    // passes.
    const uint64_t share = processes_.size() / kMaxReadsPerPass + 1;
    while (const dirent* entry = readdir(folder_)) {
      const auto pid = ParseUint(entry->d_name);
      if (!pid || *pid > UINT32_MAX) continue;
      const auto [known, is_new] = processes_.try_emplace(static_cast<uint32_t>(*pid));
      Process& process = known->second;
      const uint64_t every = share * (process.idle_reads >= kIdleReads ? kIdlePasses : 1);
      const bool due = is_new || *pid % every == pass_ % every;
      if (due && !ReadStat(entry->d_name, process)) continue;
      if (!due) process.recent_ticks = 0;
      process.pass = pass_;
    }
    std::erase_if(processes_, [&](const auto& entry) { return entry.second.pass != pass_; });
    return {};
  }

  bool ReadStat(const char* pid, Process& process) {
    char path[32];
    const auto end = fmt::format_to_n(path, sizeof path - 1, "{}/stat", pid).out;
    *end = '\0';
    const int fd = openat(dirfd(folder_), path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return false;
    char text[1024];
    const ssize_t size = read(fd, text, sizeof text);
    close(fd);
    const auto stat = ParseProcessStat({text, size > 0 ? static_cast<size_t>(size) : 0});
    if (stat) Update(process, *stat);
    return stat.has_value();
  }

  void EmitTotals(Emitter& out) const {
    uint64_t threads = 0;
    uint64_t states[kStateLetters.size()] = {};
    for (const auto& [pid, process] : processes_) {
      threads += process.threads;
      const size_t state = kStateLetters.find(process.state);
      if (state != std::string_view::npos) ++states[state];
    }
    out.Sample(kPids, {}, static_cast<double>(processes_.size()));
    out.Sample(kAllThreads, {}, static_cast<double>(threads));
    for (size_t i = 0; i < kStateLetters.size(); ++i) {
      out.Sample(kStates, {{"state", kStateLetters.substr(i, 1)}}, static_cast<double>(states[i]));
    }
  }

  void MarkTop() {
    MarkTopBy([](const Process& process) { return process.recent_ticks; });
    MarkTopBy([](const Process& process) { return process.resident_pages; });
  }

  template <typename Measure>
  void MarkTopBy(Measure measure) {
    ranked_.clear();
    for (auto& [pid, process] : processes_) {
      if (measure(process) > 0) ranked_.push_back(&process);
    }
    const auto more = [&](const Process* a, const Process* b) { return measure(*a) > measure(*b); };
    const size_t count = std::min<size_t>(top_, ranked_.size());
    const auto middle = ranked_.begin() + static_cast<std::ptrdiff_t>(count);
    std::partial_sort(ranked_.begin(), middle, ranked_.end(), more);
    const int64_t until = host_.clock->SteadyNs() + kLingerNs;
    for (size_t i = 0; i < count; ++i) ranked_[i]->top_until_ns = until;
  }

  // Asking by pid costs a read; by path it is free.
  void Resolve(uint32_t pid, Process& process, int64_t now) {
    if (containers_ == nullptr) return;
    if (process.resolved_ns != 0 && now - process.resolved_ns < kResolveEveryNs) return;
    process.resolved_ns = now;
    const ContainerIdentity* identity = containers_->Resolve(Origin{.pid = pid});
    process.cgroup_path = identity == nullptr ? std::string() : identity->cgroup_path;
  }

  void EmitProcess(Emitter& out, uint32_t pid, const Process& process) const {
    const auto ticks = static_cast<double>(host_.ticks_per_second);
    const fmt::format_int name(pid);
    const LabelView labels[] = {{"comm", process.comm}, {"pid", {name.data(), name.size()}}};
    const Origin origin{.cgroup_path = process.cgroup_path};
    out.SampleOf(origin, kCpu, labels, static_cast<double>(process.cpu_ticks) / ticks);
    out.SampleOf(
        origin, kResident, labels,
        static_cast<double>(process.resident_pages) * static_cast<double>(host_.page_size));
    out.SampleOf(origin, kThreads, labels, static_cast<double>(process.threads));
    out.SampleOf(origin, kStart, labels,
                 boot_seconds_ + static_cast<double>(process.start_ticks) / ticks);
  }

  const HostView& host_;
  ContainerIndex* containers_;  // may be null
  uint32_t top_;
  DIR* folder_ = nullptr;
  double boot_seconds_ = 0;
  std::unordered_map<uint32_t, Process> processes_;
  std::vector<Process*> ranked_;
  uint64_t pass_ = 0;
};

}  // namespace

Result<std::unique_ptr<Collector>> MakeProcesses(const LeafContext& context) {
  const v1::ProcessesConfig& config = context.config.processes();
  if (config.has_enabled() && !config.enabled()) {
    return Fail(ErrorCode::kUnsupported, "processes.enabled is false");
  }
  const uint32_t top = config.top() == 0 ? kDefaultTop : config.top();
  return std::make_unique<ProcessesCollector>(context.host, context.containers, top);
}

}  // namespace faultline
