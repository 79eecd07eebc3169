// Pressure stall information: seconds during which some, or all, tasks waited for CPU, disk or
// memory.
#include "agent/collectors/collector.h"
#include "common/text.h"

namespace faultline {
namespace {

constexpr MetricFamily Counter(std::string_view name, std::string_view help) {
  return {name, v1::METRIC_TYPE_COUNTER, help};
}
struct Resource {
  std::string_view path;
  MetricFamily some;
  MetricFamily full;  // no name: the kernel's number means nothing for the node as a whole
};
constexpr Resource kResources[] = {
    {"/proc/pressure/cpu",
     Counter("node_pressure_cpu_waiting_seconds_total",
             "Seconds during which some task waited for a CPU."),
     {}},
    {"/proc/pressure/io",
     Counter("node_pressure_io_waiting_seconds_total",
             "Seconds during which some task waited for a disk."),
     Counter("node_pressure_io_stalled_seconds_total",
             "Seconds during which no task ran, all waited for a disk.")},
    {"/proc/pressure/memory",
     Counter("node_pressure_memory_waiting_seconds_total",
             "Seconds during which some task waited for memory."),
     Counter("node_pressure_memory_stalled_seconds_total",
             "Seconds during which no task ran, all waited for memory.")},
};

class PressureCollector final : public Collector {
 public:
  explicit PressureCollector(const HostView& host) {
    for (const Resource& resource : kResources) files_.emplace_back(host.fs.Path(resource.path));
  }

  Result<void> Collect(Emitter& out) override {
    for (size_t i = 0; i < files_.size(); ++i) {
      FAULTLINE_ASSIGN(std::string_view text, files_[i].Read());
      std::string_view line;
      while (NextLine(text, line)) {
        const MetricFamily& family =
            line.starts_with("full") ? kResources[i].full : kResources[i].some;
        if (family.name.empty()) continue;
        const size_t total = line.rfind("total=");
        const auto micros =
            total == std::string_view::npos ? std::nullopt : ParseUint(line.substr(total + 6));
        if (!micros) return Fail(ErrorCode::kCorruption, "{}: '{}'", files_[i].path(), line);
        out.Sample(family, {}, static_cast<double>(*micros) / 1e6);
      }
    }
    return {};
  }

 private:
  std::vector<PolledFile> files_;
};

}  // namespace

Result<std::unique_ptr<Collector>> MakePressure(const LeafContext& context) {
  return std::make_unique<PressureCollector>(context.host);
}

}  // namespace faultline
