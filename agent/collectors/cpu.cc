// Where the time of each CPU went (/proc/stat), which CPUs are isolated, and how often heat slowed
// them down. The kernel's counters may step back a little (idle and iowait are estimates): what we
// show never does, unless idle falls by three seconds, which means that the CPU was unplugged and
// came back.
#include <array>
#include <map>

#include "agent/collectors/collector.h"
#include "common/text.h"

namespace faultline {
namespace {

constexpr MetricFamily kSeconds = {"node_cpu_seconds_total", v1::METRIC_TYPE_COUNTER,
                                   "Seconds this CPU spent in each mode."};
constexpr MetricFamily kGuestSeconds = {
    "node_cpu_guest_seconds_total", v1::METRIC_TYPE_COUNTER,
    "Seconds this CPU ran virtual machines; contained in the modes user and nice as well."};
constexpr MetricFamily kIsolated = {"node_cpu_isolated", v1::METRIC_TYPE_GAUGE,
                                    "1 for each CPU that the scheduler leaves alone."};
constexpr MetricFamily kCoreThrottles = {"node_cpu_core_throttles_total", v1::METRIC_TYPE_COUNTER,
                                         "Times this core was slowed down because of heat."};
constexpr MetricFamily kPackageThrottles = {"node_cpu_package_throttles_total",
                                            v1::METRIC_TYPE_COUNTER,
                                            "Times this package was slowed down because of heat."};

constexpr size_t kModes = 10;  // columns of a cpu line
constexpr size_t kIdle = 3, kGuest = 8;
constexpr std::array<std::string_view, kModes> kModeNames = {
    "user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal", "user", "nice"};
constexpr double kUnpluggedSeconds = 3;

struct Cpu {
  std::string number;
  std::array<double, kModes> seconds{};
};

// One CPU's own throttle counters; several CPUs share a core, all share the package.
struct Throttle {
  std::string package, core;
  PolledFile core_count, package_count;
  bool has_core = false, has_package = false;
};

class CpuCollector final : public Collector {
 public:
  explicit CpuCollector(const HostView& host)
      : file_(host.fs.Path("/proc/stat")), ticks_(static_cast<double>(host.ticks_per_second)) {
    LearnIsolated(host.fs.ReadTrimmed("/sys/devices/system/cpu/isolated").value_or(""));
    LearnThrottles(host.fs);
  }

  Result<void> Collect(Emitter& out) override {
    FAULTLINE_ASSIGN(std::string_view text, file_.Read());
    std::string_view line;
    size_t index = 0;
    while (NextLine(text, line) && line.starts_with("cpu")) {
      const std::string_view number = NextWord(line).substr(3);
      if (number.empty()) continue;  // the sum of all
      Cpu& cpu = Find(index++, number);
      Update(cpu, line);
      for (size_t mode = 0; mode < kModes; ++mode) {
        out.Sample(mode < kGuest ? kSeconds : kGuestSeconds,
                   {{"cpu", cpu.number}, {"mode", kModeNames[mode]}}, cpu.seconds[mode]);
      }
    }
    for (const std::string& number : isolated_) out.Sample(kIsolated, {{"cpu", number}}, 1);
    for (Throttle& throttle : throttles_) Emit(out, throttle);
    return {};
  }

 private:
  Cpu& Find(size_t index, std::string_view number) {
    if (index < cpus_.size() && cpus_[index].number == number) return cpus_[index];
    for (Cpu& cpu : cpus_) {
      if (cpu.number == number) return cpu;
    }
    cpus_.push_back({std::string(number), {}});
    return cpus_.back();
  }

  void Update(Cpu& cpu, std::string_view line) const {
    std::array<double, kModes> now{};
    for (double& seconds : now) {
      seconds = static_cast<double>(ParseUint(NextWord(line)).value_or(0)) / ticks_;
    }
    if (cpu.seconds[kIdle] - now[kIdle] >= kUnpluggedSeconds) cpu.seconds = {};
    for (size_t mode = 0; mode < kModes; ++mode) {
      cpu.seconds[mode] = std::max(cpu.seconds[mode], now[mode]);
    }
  }

  // "1,4-6"
  void LearnIsolated(std::string_view list) {
    for (const std::string_view range : Split(list, ',')) {
      const size_t dash = range.find('-');
      const auto first = ParseUint(range.substr(0, dash));
      const auto last = dash == std::string_view::npos ? first : ParseUint(range.substr(dash + 1));
      if (!first || !last || *last > 65535) continue;
      for (uint64_t cpu = *first; cpu <= *last; ++cpu) isolated_.push_back(std::to_string(cpu));
    }
  }

  void LearnThrottles(const FsRoot& fs) {
    std::map<std::string, bool> packages, cores;
    for (const std::string& name :
         fs.List("/sys/devices/system/cpu").value_or(std::vector<std::string>())) {
      if (!name.starts_with("cpu") || !ParseUint(name.substr(3))) continue;
      const std::string folder = "/sys/devices/system/cpu/" + name;
      Throttle throttle;
      throttle.package = fs.ReadTrimmed(folder + "/topology/physical_package_id").value_or("");
      throttle.core = fs.ReadTrimmed(folder + "/topology/core_id").value_or("");
      if (throttle.package.empty() || throttle.core.empty()) continue;
      const std::string core_path = folder + "/thermal_throttle/core_throttle_count";
      const std::string package_path = folder + "/thermal_throttle/package_throttle_count";
      throttle.has_core = fs.Exists(core_path) &&
                          cores.emplace(throttle.package + ":" + throttle.core, true).second;
      throttle.has_package =
          fs.Exists(package_path) && packages.emplace(throttle.package, true).second;
      if (throttle.has_core) throttle.core_count = PolledFile(fs.Path(core_path));
      if (throttle.has_package) throttle.package_count = PolledFile(fs.Path(package_path));
      if (throttle.has_core || throttle.has_package) throttles_.push_back(std::move(throttle));
    }
  }

  static void Emit(Emitter& out, Throttle& throttle) {
    if (throttle.has_core) {
      if (const auto count = ParseUint(Trim(throttle.core_count.Read().value_or("")))) {
        out.Sample(kCoreThrottles, {{"package", throttle.package}, {"core", throttle.core}},
                   static_cast<double>(*count));
      }
    }
    if (throttle.has_package) {
      if (const auto count = ParseUint(Trim(throttle.package_count.Read().value_or("")))) {
        out.Sample(kPackageThrottles, {{"package", throttle.package}}, static_cast<double>(*count));
      }
    }
  }

  PolledFile file_;
  double ticks_;
  std::vector<Cpu> cpus_;
  std::vector<std::string> isolated_;
  std::vector<Throttle> throttles_;
};

}  // namespace

Result<std::unique_ptr<Collector>> MakeCpu(const LeafContext& context) {
  return std::make_unique<CpuCollector>(context.host);
}

}  // namespace faultline
