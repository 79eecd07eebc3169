// Pressure on memory: share of the last minute in which some task had to wait (PSI).
#include "agent/checks/builtin/judged.h"
#include "agent/checks/builtin/rows.h"

namespace faultline {
namespace {

class PsiMemory final : public Check {
 public:
  explicit PsiMemory(CheckParameters& parameters)
      : warn_(parameters.Number("warn", 10)), crit_(parameters.Number("crit", 40)) {}
  Finding Evaluate(const HostView& host) override {
    const auto text = host.fs.Read("/proc/pressure/memory");
    if (!text) return Finding::NotApplicable("the kernel does not measure pressure");
    std::string_view rest = *text;
    double share = -1;
    if (NextWord(rest) == "some") {
      NextWord(rest);
      std::string_view minute = NextWord(rest);
      if (minute.starts_with("avg60=")) share = ParseDouble(minute.substr(6)).value_or(-1);
    }
    if (share < 0) return Finding::Unknown("/proc/pressure/memory does not parse");
    Judged judged;
    judged.High(share, warn_, crit_, "",
                fmt::format("some task waited for memory {:.0f} % of the last minute", share));
    judged.finding().Add("some_avg60", share, "%");
    return judged.Finish(fmt::format("{:.1f} % of the last minute", share),
                         fmt::format("below {} %", warn_));
  }

 private:
  const double warn_;
  const double crit_;
};

}  // namespace

std::unique_ptr<Check> MakePsiMemory(CheckParameters& parameters) {
  return std::make_unique<PsiMemory>(parameters);
}

}  // namespace faultline
