// The clock that the kernel reads: a fall-back from tsc makes every look at the time slow.
#include "agent/checks/builtin/judged.h"
#include "agent/checks/builtin/rows.h"

namespace faultline {
namespace {

class ClockSource final : public Check {
 public:
  explicit ClockSource(CheckParameters& parameters) { (void)parameters; }
  Finding Evaluate(const HostView& host) override {
    const std::string folder = "/sys/devices/system/clocksource/clocksource0/";
    const auto current = host.fs.ReadTrimmed(folder + "current_clocksource");
    if (!current) return Finding::NotApplicable("the kernel does not say");
    Judged judged;
    if (*current == "hpet" || *current == "acpi_pm" || *current == "jiffies") {
      judged.Degraded("", fmt::format("the kernel reads {}", *current));
    }
    return judged.Finish(fmt::format("the kernel reads {}", *current),
                         "tsc, kvm-clock or arch_sys_counter");
  }
};

}  // namespace

std::unique_ptr<Check> MakeClockSource(CheckParameters& parameters) {
  return std::make_unique<ClockSource>(parameters);
}

}  // namespace faultline
