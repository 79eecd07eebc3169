// Whether anybody disciplines the clock, and how far off it thinks it is (adjtimex).
#include <sys/timex.h>

#include <cmath>
#include "agent/checks/builtin/judged.h"
#include "agent/checks/builtin/rows.h"

namespace faultline {
namespace {

class ClockSync final : public Check {
 public:
  explicit ClockSync(CheckParameters& parameters)
      : warn_(parameters.Number("warn", 1)), crit_(parameters.Number("crit", 10)) {}
  Finding Evaluate(const HostView& host) override {
    timex state{};
    if (adjtimex(&state) < 0) return Finding::Unknown("adjtimex is refused");
    (void)host;
    Judged judged;
    const double unit = (state.status & STA_NANO) != 0 ? 1e6 : 1e3;
    const double offset_ms = std::abs(static_cast<double>(state.offset)) / unit;
    const double error_ms = static_cast<double>(state.esterror) / 1e3;
    if ((state.status & STA_UNSYNC) != 0)
      judged.Degraded("", "nobody keeps the clock right (chrony, ntpd, timesyncd)");
    judged.High(offset_ms, warn_, crit_, "", fmt::format("the clock is {:.1f} ms off", offset_ms));
    judged.finding().Add("offset", offset_ms, "ms");
    judged.finding().Add("estimated_error", error_ms, "ms");
    return judged.Finish(fmt::format("the clock is {:.3f} ms off", offset_ms),
                         fmt::format("below {} ms", warn_));
  }

 private:
  const double warn_;
  const double crit_;
};

}  // namespace

std::unique_ptr<Check> MakeClockSync(CheckParameters& parameters) {
  return std::make_unique<ClockSync>(parameters);
}

}  // namespace faultline
