// CPUs that are there but not in use.
#include "agent/checks/builtin/judged.h"
#include "agent/checks/builtin/rows.h"

namespace faultline {
namespace {

class CpuOnline final : public Check {
 public:
  explicit CpuOnline(CheckParameters& parameters) { (void)parameters; }
  Finding Evaluate(const HostView& host) override {
    const auto present = host.fs.ReadTrimmed("/sys/devices/system/cpu/present");
    const auto online = host.fs.ReadTrimmed("/sys/devices/system/cpu/online");
    if (!present || !online) return Finding::NotApplicable("the kernel does not list CPUs");
    Judged judged;
    if (*present != *online)
      judged.Degraded("", fmt::format("CPUs {} are present, {} online", *present, *online));
    return judged.Finish(fmt::format("all CPUs ({}) are online", *online), *present);
  }
};

}  // namespace

std::unique_ptr<Check> MakeCpuOnline(CheckParameters& parameters) {
  return std::make_unique<CpuOnline>(parameters);
}

}  // namespace faultline
