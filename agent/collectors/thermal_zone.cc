// Temperatures of the thermal zones and how hard the cooling devices work (/sys/class/thermal).
#include "agent/collectors/collector.h"
#include "common/text.h"

namespace faultline {
namespace {

constexpr MetricFamily Gauge(std::string_view name, std::string_view help) {
  return {name, v1::METRIC_TYPE_GAUGE, help};
}
constexpr MetricFamily kTemperature =
    Gauge("node_thermal_zone_temp", "Temperature of the zone, Celsius.");
constexpr MetricFamily kCurrent =
    Gauge("node_cooling_device_cur_state", "How hard the device cools now.");
constexpr MetricFamily kMaximum =
    Gauge("node_cooling_device_max_state", "How hard the device can cool.");
constexpr std::string_view kFolder = "/sys/class/thermal/";
constexpr std::string_view kZone = "thermal_zone", kDevice = "cooling_device";

class ThermalZoneCollector final : public Collector {
 public:
  explicit ThermalZoneCollector(const HostView& host) : fs_(host.fs) {}

  Result<void> Collect(Emitter& out) override {
    for (const std::string& name : fs_.List(kFolder).value_or(std::vector<std::string>())) {
      const std::string folder = std::string(kFolder) + name;
      const bool is_zone = name.starts_with(kZone);
      if (!is_zone && !name.starts_with(kDevice)) continue;
      const std::string type = fs_.ReadTrimmed(folder + "/type").value_or("");
      const std::string_view number =
          std::string_view(name).substr(is_zone ? kZone.size() : kDevice.size());
      if (is_zone) {
        // A zone whose sensor sleeps answers with an error.
        const auto milli = fs_.ReadInt(folder + "/temp");
        if (milli) {
          out.Sample(kTemperature, {{"zone", number}, {"type", type}},
                     static_cast<double>(*milli) / 1000);
        }
        continue;
      }
      const auto current = fs_.ReadInt(folder + "/cur_state"),
                 maximum = fs_.ReadInt(folder + "/max_state");
      if (!current || !maximum) continue;
      out.Sample(kCurrent, {{"name", number}, {"type", type}}, static_cast<double>(*current));
      out.Sample(kMaximum, {{"name", number}, {"type", type}}, static_cast<double>(*maximum));
    }
    return {};
  }

 private:
  const FsRoot& fs_;
};

}  // namespace

Result<std::unique_ptr<Collector>> MakeThermalZone(const LeafContext& context) {
  return std::make_unique<ThermalZoneCollector>(context.host);
}

}  // namespace faultline
