// Share of time that the hypervisor took away.
#include "agent/checks/builtin/judged.h"
#include "agent/checks/builtin/rows.h"

namespace faultline {
namespace {

class CpuSteal final : public Check {
 public:
  explicit CpuSteal(CheckParameters& parameters)
      : warn_(parameters.Number("warn", 10)), crit_(parameters.Number("crit", 30)) {}
  Finding Evaluate(const HostView& host) override {
    const auto text = host.fs.Read("/proc/stat");
    if (!text) return Finding::Unknown(text.error().message);
    std::string_view rest = *text;
    NextWord(rest);
    double total = 0, steal = 0;
    for (int i = 0; i < 8; ++i) {
      const double ticks = ParseDouble(NextWord(rest)).value_or(0);
      total += ticks;
      if (i == 7) steal = ticks;
    }
    const auto all = growth_.Of("total", total);
    const auto stolen = growth_.Of("steal", steal);
    if (!all || !stolen || *all <= 0) return Finding::Ok("first look");
    const double share = Percent(*stolen, *all);
    Judged judged;
    judged.High(share, warn_, crit_, "", fmt::format("{:.1f} % of CPU time is stolen", share));
    judged.finding().Add("steal", share, "%");
    return judged.Finish(fmt::format("{:.1f} % stolen", share), fmt::format("below {} %", warn_));
  }

 private:
  const double warn_;
  const double crit_;
  Growth growth_;
};

}  // namespace

std::unique_ptr<Check> MakeCpuSteal(CheckParameters& parameters) {
  return std::make_unique<CpuSteal>(parameters);
}

}  // namespace faultline
