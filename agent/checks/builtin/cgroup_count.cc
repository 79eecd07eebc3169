// Memory cgroups that the kernel keeps, dead ones too: a leak slows every look at them.
#include "agent/checks/builtin/judged.h"
#include "agent/checks/builtin/rows.h"

namespace faultline {
namespace {

class CgroupCount final : public Check {
 public:
  explicit CgroupCount(CheckParameters& parameters)
      : warn_(parameters.Number("warn", 5000)), crit_(parameters.Number("crit", 30000)) {}
  Finding Evaluate(const HostView& host) override {
    const auto text = host.fs.Read("/proc/cgroups");
    if (!text) return Finding::NotApplicable("no cgroups");
    double count = -1;
    std::string_view rest = *text, line;
    while (NextLine(rest, line)) {
      if (NextWord(line) != "memory") continue;
      NextWord(line);
      count = ParseDouble(NextWord(line)).value_or(-1);
    }
    if (count < 0) return Finding::NotApplicable("no memory controller");
    Judged judged;
    judged.High(count, warn_, crit_, "", fmt::format("{:.0f} memory cgroups", count));
    judged.finding().Add("memory_cgroups", count);
    return judged.Finish(fmt::format("{:.0f} memory cgroups", count),
                         fmt::format("below {}", warn_));
  }

 private:
  const double warn_;
  const double crit_;
};

}  // namespace

std::unique_ptr<Check> MakeCgroupCount(CheckParameters& parameters) {
  return std::make_unique<CgroupCount>(parameters);
}

}  // namespace faultline
