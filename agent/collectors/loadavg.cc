// How many tasks ran or waited for the disk, averaged over 1, 5 and 15 minutes: /proc/loadavg.
#include "agent/collectors/collector.h"
#include "common/text.h"

namespace faultline {
namespace {

constexpr MetricFamily kLoads[] = {
    {"node_load1", v1::METRIC_TYPE_GAUGE, "Load average over one minute."},
    {"node_load5", v1::METRIC_TYPE_GAUGE, "Load average over five minutes."},
    {"node_load15", v1::METRIC_TYPE_GAUGE, "Load average over fifteen minutes."},
};

class LoadavgCollector final : public Collector {
 public:
  explicit LoadavgCollector(const HostView& host) : file_(host.fs.Path("/proc/loadavg")) {}

  Result<void> Collect(Emitter& out) override {
    FAULTLINE_ASSIGN(std::string_view text, file_.Read());
    for (const MetricFamily& family : kLoads) {
      const std::string_view word = NextWord(text);
      const auto load = ParseDouble(word);
      if (!load) return Fail(ErrorCode::kCorruption, "{}: '{}' is no load", file_.path(), word);
      out.Sample(family, {}, *load);
    }
    return {};
  }

 private:
  PolledFile file_;
};

}  // namespace

Result<std::unique_ptr<Collector>> MakeLoadavg(const LeafContext& context) {
  return std::make_unique<LoadavgCollector>(context.host);
}

}  // namespace faultline
