// Frequency governor of every CPU.
#include "agent/checks/builtin/judged.h"
#include "agent/checks/builtin/rows.h"

namespace faultline {
namespace {

class CpuGovernor final : public Check {
 public:
  explicit CpuGovernor(CheckParameters& parameters)
      : wanted_(parameters.Text("governor", "performance")) {}
  Finding Evaluate(const HostView& host) override {
    const auto policies = host.fs.List("/sys/devices/system/cpu/cpufreq");
    if (!policies) return Finding::NotApplicable("no frequency scaling here");
    Judged judged;
    for (const std::string& policy : *policies) {
      const auto governor =
          host.fs.ReadTrimmed("/sys/devices/system/cpu/cpufreq/" + policy + "/scaling_governor");
      if (!governor) continue;
      judged.Saw();
      if (!NameIn(wanted_, *governor))
        judged.Degraded(policy, fmt::format("{} has governor {}", policy, *governor));
    }
    if (judged.seen() == 0) return Finding::NotApplicable("no frequency scaling here");
    return judged.Finish("governors are as wanted", wanted_);
  }

 private:
  const std::string wanted_;
};

}  // namespace

std::unique_ptr<Check> MakeCpuGovernor(CheckParameters& parameters) {
  return std::make_unique<CpuGovernor>(parameters);
}

}  // namespace faultline
