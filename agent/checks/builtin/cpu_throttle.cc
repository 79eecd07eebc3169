// Thermal throttling of cores and packages, by how its counters grow.
#include "agent/checks/builtin/judged.h"
#include "agent/checks/builtin/rows.h"

namespace faultline {
namespace {

class CpuThrottle final : public Check {
 public:
  explicit CpuThrottle(CheckParameters& parameters) : warn_(parameters.Number("warn", 1)) {}
  Finding Evaluate(const HostView& host) override {
    double total = 0;
    Judged judged;
    const auto cpus = host.fs.List("/sys/devices/system/cpu");
    for (size_t i = 0; cpus && i < cpus->size(); ++i) {
      const std::string folder = "/sys/devices/system/cpu/" + (*cpus)[i] + "/thermal_throttle/";
      const auto package = host.fs.ReadInt(folder + "package_throttle_count");
      const auto core = host.fs.ReadInt(folder + "core_throttle_count");
      if (!package && !core) continue;
      judged.Saw();
      total += static_cast<double>(core.value_or(0)) + static_cast<double>(package.value_or(0));
    }
    if (judged.seen() == 0) return Finding::NotApplicable("no throttle counters here");
    const double grown = growth_.Of("throttle", total).value_or(0);
    if (grown >= warn_)
      judged.Degraded("", fmt::format("throttled {:.0f} times since the last look", grown));
    judged.finding().Add("throttle_events", grown, "c");
    return judged.Finish("no thermal throttling", "none");
  }

 private:
  const double warn_;
  Growth growth_;
};

}  // namespace

std::unique_ptr<Check> MakeCpuThrottle(CheckParameters& parameters) {
  return std::make_unique<CpuThrottle>(parameters);
}

}  // namespace faultline
