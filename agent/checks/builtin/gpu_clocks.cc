// Greatest and application clocks against the model: a GPU that somebody or something slowed down.
#include "agent/checks/builtin/gpu_spec.h"
#include "agent/checks/builtin/judged.h"
#include "agent/checks/builtin/nvml.h"
#include "agent/checks/builtin/rows.h"

namespace faultline {
namespace {

class GpuClocks final : public Check {
 public:
  explicit GpuClocks(CheckParameters& parameters) { (void)parameters; }
  Finding Evaluate(const HostView& /*host*/) override {
    const auto gpus = LookAtGpus();
    if (!gpus) return Finding::NotApplicable(gpus.error().message);
    Judged judged;
    for (const GpuState& gpu : *gpus) {
      const std::string who = gpu.uuid.empty() ? fmt::format("GPU {}", gpu.index) : gpu.uuid;
      const GpuSpec& spec = GpuSpecOf(gpu.pci_id);
      (void)spec;
      if (!gpu.max_sm_clock) continue;
      judged.Saw();
      if (spec.max_sm_clock != 0 && *gpu.max_sm_clock < spec.max_sm_clock) {
        judged.Degraded(who, fmt::format("{}: at most {} MHz, should be {}", who, *gpu.max_sm_clock,
                                         spec.max_sm_clock));
      }
      if (gpu.app_graphics_clock && gpu.max_graphics_clock &&
          *gpu.app_graphics_clock < *gpu.max_graphics_clock) {
        judged.Degraded(who, fmt::format("{}: application clock {} of {} MHz", who,
                                         *gpu.app_graphics_clock, *gpu.max_graphics_clock));
      }
    }
    if (judged.seen() == 0 && judged.ok()) return Finding::NotApplicable("no GPU tells");
    return judged.Finish(fmt::format("{} GPUs: clocks are free", judged.seen()), "");
  }
};

}  // namespace

std::unique_ptr<Check> MakeGpuClocks(CheckParameters& parameters) {
  return std::make_unique<GpuClocks>(parameters);
}

}  // namespace faultline
