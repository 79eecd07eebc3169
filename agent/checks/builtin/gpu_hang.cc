// A GPU that is all busy and does nothing: full use, high clocks and little power at five looks
// after each other.
#include "agent/checks/builtin/gpu_spec.h"
#include "agent/checks/builtin/judged.h"
#include "agent/checks/builtin/nvml.h"
#include "agent/checks/builtin/rows.h"

namespace faultline {
namespace {

class GpuHang final : public Check {
 public:
  explicit GpuHang(CheckParameters& parameters)
      : power_w_(parameters.Number("power", 160)), looks_(parameters.Number("looks", 5)) {}
  Finding Evaluate(const HostView& /*host*/) override {
    const auto gpus = LookAtGpus();
    if (!gpus) return Finding::NotApplicable(gpus.error().message);
    Judged judged;
    for (const GpuState& gpu : *gpus) {
      const std::string who = gpu.uuid.empty() ? fmt::format("GPU {}", gpu.index) : gpu.uuid;
      const GpuSpec& spec = GpuSpecOf(gpu.pci_id);
      (void)spec;
      if (!gpu.utilization || !gpu.power_mw || !gpu.sm_clock) continue;
      judged.Saw();
      const bool looks_hung = *gpu.utilization >= 95 && gpu.memory_utilization.value_or(0) <= 5 &&
                              *gpu.power_mw < power_w_ * 1000 && *gpu.sm_clock >= 1400;
      int& count = count_[who];
      count = looks_hung ? count + 1 : 0;
      if (count >= looks_) {
        judged.Problem(who, fmt::format("{}: {} % busy with {:.0f} W for {} looks", who,
                                        *gpu.utilization, *gpu.power_mw / 1000.0, count));
      }
    }
    if (judged.seen() == 0 && judged.ok()) return Finding::NotApplicable("no GPU tells");
    return judged.Finish(fmt::format("{} GPUs: none hangs", judged.seen()), "");
  }

 private:
  const double power_w_;
  const double looks_;
  std::map<std::string, int> count_;
};

}  // namespace

std::unique_ptr<Check> MakeGpuHang(CheckParameters& parameters) {
  return std::make_unique<GpuHang>(parameters);
}

}  // namespace faultline
