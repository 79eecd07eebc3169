// MemAvailable as a share of all memory.
#include "agent/checks/builtin/judged.h"
#include "agent/checks/builtin/rows.h"

namespace faultline {
namespace {

class MemoryAvailable final : public Check {
 public:
  explicit MemoryAvailable(CheckParameters& parameters)
      : warn_(parameters.Number("warn", 10)), crit_(parameters.Number("crit", 5)) {}
  Finding Evaluate(const HostView& host) override {
    const auto text = host.fs.Read("/proc/meminfo");
    if (!text) return Finding::Unknown(text.error().message);
    const double share = Percent(FieldOf(*text, "MemAvailable", 0), FieldOf(*text, "MemTotal", 0));
    Judged judged;
    judged.Low(share, warn_, crit_, "", fmt::format("{:.1f} % of memory is available", share));
    judged.finding().Add("available", share, "%");
    return judged.Finish(fmt::format("{:.1f} % of memory is available", share),
                         fmt::format("above {} %", warn_));
  }

 private:
  const double warn_;
  const double crit_;
};

}  // namespace

std::unique_ptr<Check> MakeMemoryAvailable(CheckParameters& parameters) {
  return std::make_unique<MemoryAvailable>(parameters);
}

}  // namespace faultline
