// Frequencies of each CPU: the hardware's and the governor's view
// (/sys/devices/system/cpu/cpuN/cpufreq).
#include "agent/collectors/collector.h"
#include "common/text.h"

namespace faultline {
namespace {

constexpr MetricFamily Gauge(std::string_view name, std::string_view help) {
  return {name, v1::METRIC_TYPE_GAUGE, help};
}
struct Row {
  std::string_view file;  // kHz
  MetricFamily family;
};
constexpr Row kRows[] = {
    {"cpuinfo_cur_freq", Gauge("node_cpu_frequency_hertz", "Frequency the hardware runs at.")},
    {"cpuinfo_min_freq",
     Gauge("node_cpu_frequency_min_hertz", "Lowest frequency of the hardware.")},
    {"cpuinfo_max_freq",
     Gauge("node_cpu_frequency_max_hertz", "Highest frequency of the hardware.")},
    {"scaling_cur_freq",
     Gauge("node_cpu_scaling_frequency_hertz", "Frequency the governor asked for.")},
    {"scaling_min_freq",
     Gauge("node_cpu_scaling_frequency_min_hertz", "Lowest frequency the governor may ask for.")},
    {"scaling_max_freq",
     Gauge("node_cpu_scaling_frequency_max_hertz", "Highest frequency the governor may ask for.")},
};

class CpufreqCollector final : public Collector {
 public:
  explicit CpufreqCollector(const HostView& host) : fs_(host.fs) {}

  Result<void> Collect(Emitter& out) override {
    const std::string folder = "/sys/devices/system/cpu/";
    if (!learned_) {
      for (const std::string& name : fs_.List(folder).value_or(std::vector<std::string>())) {
        if (!name.starts_with("cpu") || !ParseUint(name.substr(3))) continue;
        if (fs_.Exists(folder + name + "/cpufreq")) cpus_.push_back(name.substr(3));
      }
      learned_ = true;
    }
    for (const std::string& cpu : cpus_) {
      for (const Row& row : kRows) {
        const auto khz = fs_.ReadInt(fmt::format("{}cpu{}/cpufreq/{}", folder, cpu, row.file));
        if (khz) out.Sample(row.family, {{"cpu", cpu}}, static_cast<double>(*khz) * 1000);
      }
    }
    return {};
  }

 private:
  const FsRoot& fs_;
  bool learned_ = false;
  std::vector<std::string> cpus_;
};

}  // namespace

Result<std::unique_ptr<Collector>> MakeCpufreq(const LeafContext& context) {
  return std::make_unique<CpufreqCollector>(context.host);
}

}  // namespace faultline
