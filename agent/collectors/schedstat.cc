// Time that tasks ran on, and waited for, each CPU: /proc/schedstat (CONFIG_SCHEDSTATS).
#include "agent/collectors/collector.h"
#include "common/text.h"

namespace faultline {
namespace {

constexpr MetricFamily kFamilies[] = {
    {"node_schedstat_running_seconds_total", v1::METRIC_TYPE_COUNTER,
     "Time that tasks ran on this CPU."},
    {"node_schedstat_waiting_seconds_total", v1::METRIC_TYPE_COUNTER,
     "Time that tasks waited for this CPU."},
    {"node_schedstat_timeslices_total", v1::METRIC_TYPE_COUNTER,
     "Time slices that this CPU gave out."},
};

class SchedstatCollector final : public Collector {
 public:
  explicit SchedstatCollector(const HostView& host) : file_(host.fs.Path("/proc/schedstat")) {}

  Result<void> Collect(Emitter& out) override {
    FAULTLINE_ASSIGN(std::string_view text, file_.Read());
    std::string_view line;
    while (NextLine(text, line)) {
      if (!line.starts_with("cpu")) continue;
      const std::string_view cpu = NextWord(line).substr(3);
      for (int skipped = 0; skipped < 6; ++skipped) NextWord(line);
      for (size_t i = 0; i < std::size(kFamilies); ++i) {
        const auto value = ParseUint(NextWord(line));
        if (!value)
          return Fail(ErrorCode::kCorruption, "{}: cpu{}: too few numbers", file_.path(), cpu);
        out.Sample(kFamilies[i], {{"cpu", cpu}}, static_cast<double>(*value) / (i < 2 ? 1e9 : 1));
      }
    }
    return {};
  }

 private:
  PolledFile file_;
};

}  // namespace

Result<std::unique_ptr<Collector>> MakeSchedstat(const LeafContext& context) {
  return std::make_unique<SchedstatCollector>(context.host);
}

}  // namespace faultline
