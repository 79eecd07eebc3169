// The node's own idea of the time: clock, time zone, and the clock sources the kernel has and uses.
#include <ctime>

#include "agent/collectors/collector.h"
#include "common/text.h"

namespace faultline {
namespace {

constexpr MetricFamily kNow = {"node_time_seconds", v1::METRIC_TYPE_GAUGE,
                               "The node's clock, unix time."};
constexpr MetricFamily kZone = {"node_time_zone_offset_seconds", v1::METRIC_TYPE_GAUGE,
                                "Local time minus UTC."};
constexpr MetricFamily kAvailable = {"node_time_clocksource_available_info", v1::METRIC_TYPE_GAUGE,
                                     "1 for each clock source that the kernel could use."};
constexpr MetricFamily kCurrent = {"node_time_clocksource_current_info", v1::METRIC_TYPE_GAUGE,
                                   "1 for the clock source that the kernel uses."};
constexpr std::string_view kFolder = "/sys/devices/system/clocksource";

struct ClockSource {
  std::string device;
  PolledFile available, current;
};

class TimeCollector final : public Collector {
 public:
  explicit TimeCollector(const HostView& host) : clock_(host.clock) {
    for (const std::string& name : host.fs.List(kFolder).value_or(std::vector<std::string>())) {
      if (!name.starts_with("clocksource")) continue;
      const std::string folder = host.fs.Path(std::string(kFolder) + "/" + name);
      sources_.push_back({name.substr(11), PolledFile(folder + "/available_clocksource"),
                          PolledFile(folder + "/current_clocksource")});
    }
    tzset();
  }

  Result<void> Collect(Emitter& out) override {
    const int64_t now_ns = clock_->UnixNs();
    out.Sample(kNow, {}, static_cast<double>(now_ns) / 1e9);
    const std::time_t now = static_cast<std::time_t>(now_ns / kNsPerSecond);
    std::tm local{};
    localtime_r(&now, &local);
    out.Sample(kZone, {{"time_zone", local.tm_zone}}, static_cast<double>(local.tm_gmtoff));
    for (ClockSource& source : sources_) {
      std::string_view text = source.available.Read().value_or("");
      for (std::string_view name = NextWord(text); !name.empty(); name = NextWord(text)) {
        out.Sample(kAvailable, {{"device", source.device}, {"clocksource", name}}, 1);
      }
      const std::string_view current = Trim(source.current.Read().value_or(""));
      if (!current.empty()) {
        out.Sample(kCurrent, {{"device", source.device}, {"clocksource", current}}, 1);
      }
    }
    return {};
  }

 private:
  const Clock* clock_;
  std::vector<ClockSource> sources_;
};

}  // namespace

Result<std::unique_ptr<Collector>> MakeTime(const LeafContext& context) {
  return std::make_unique<TimeCollector>(context.host);
}

}  // namespace faultline
