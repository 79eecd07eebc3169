// Current frequency against the greatest that the policy allows: a CPU that is held down.
#include "agent/checks/builtin/judged.h"
#include "agent/checks/builtin/rows.h"

namespace faultline {
namespace {

class CpuFrequency final : public Check {
 public:
  explicit CpuFrequency(CheckParameters& parameters) : warn_(parameters.Number("warn", 95)) {}
  Finding Evaluate(const HostView& host) override {
    const auto policies = host.fs.List("/sys/devices/system/cpu/cpufreq");
    if (!policies) return Finding::NotApplicable("no frequency scaling here");
    Judged judged;
    for (const std::string& policy : *policies) {
      const std::string folder = "/sys/devices/system/cpu/cpufreq/" + policy;
      const auto limit = host.fs.ReadInt(folder + "/scaling_max_freq");
      const auto able = host.fs.ReadInt(folder + "/cpuinfo_max_freq");
      if (!limit || !able || *able <= 0) continue;
      judged.Saw();
      const double share = Percent(static_cast<double>(*limit), static_cast<double>(*able));
      if (share < warn_)
        judged.Degraded(policy,
                        fmt::format("{} is limited to {:.0f} % of its frequency", policy, share));
    }
    if (judged.seen() == 0) return Finding::NotApplicable("no frequency scaling here");
    return judged.Finish("no CPU is held down", fmt::format("at least {} %", warn_));
  }

 private:
  const double warn_;
};

}  // namespace

std::unique_ptr<Check> MakeCpuFrequency(CheckParameters& parameters) {
  return std::make_unique<CpuFrequency>(parameters);
}

}  // namespace faultline
