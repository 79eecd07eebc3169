// Performance state of GPUs that work: anything but the greatest is a brake.
#include "agent/checks/builtin/gpu_spec.h"
#include "agent/checks/builtin/judged.h"
#include "agent/checks/builtin/nvml.h"
#include "agent/checks/builtin/rows.h"

namespace faultline {
namespace {

class GpuPerformance final : public Check {
 public:
  explicit GpuPerformance(CheckParameters& parameters) { (void)parameters; }
  Finding Evaluate(const HostView& /*host*/) override {
    const auto gpus = LookAtGpus();
    if (!gpus) return Finding::NotApplicable(gpus.error().message);
    Judged judged;
    for (const GpuState& gpu : *gpus) {
      const std::string who = gpu.uuid.empty() ? fmt::format("GPU {}", gpu.index) : gpu.uuid;
      const GpuSpec& spec = GpuSpecOf(gpu.pci_id);
      (void)spec;
      if (!gpu.performance) continue;
      judged.Saw();
      if (gpu.utilization.value_or(0) > 50 && *gpu.performance > 0) {
        judged.Degraded(
            who, fmt::format("{}: state P{} at {} % use", who, *gpu.performance, *gpu.utilization));
      }
    }
    if (judged.seen() == 0 && judged.ok()) return Finding::NotApplicable("no GPU tells");
    return judged.Finish(fmt::format("{} GPUs: full performance", judged.seen()), "P0");
  }
};

}  // namespace

std::unique_ptr<Check> MakeGpuPerformance(CheckParameters& parameters) {
  return std::make_unique<GpuPerformance>(parameters);
}

}  // namespace faultline
