// Swap space in use.
#include "agent/checks/builtin/judged.h"
#include "agent/checks/builtin/rows.h"

namespace faultline {
namespace {

class SwapUsage final : public Check {
 public:
  explicit SwapUsage(CheckParameters& parameters)
      : warn_(parameters.Number("warn", 80)), crit_(parameters.Number("crit", 95)) {}
  Finding Evaluate(const HostView& host) override {
    const std::string text = host.fs.Read("/proc/meminfo").value_or("");
    const double total = FieldOf(text, "SwapTotal", 0);
    if (total <= 0) return Finding::NotApplicable("no swap space");
    const double used = Percent(total - FieldOf(text, "SwapFree", 0), total);
    Judged judged;
    judged.High(used, warn_, crit_, "", fmt::format("{:.0f} % of swap is used", used));
    judged.finding().Add("used", used, "%");
    return judged.Finish(fmt::format("{:.0f} % of swap is used", used),
                         fmt::format("below {} %", warn_));
  }

 private:
  const double warn_;
  const double crit_;
};

}  // namespace

std::unique_ptr<Check> MakeSwapUsage(CheckParameters& parameters) {
  return std::make_unique<SwapUsage>(parameters);
}

}  // namespace faultline
