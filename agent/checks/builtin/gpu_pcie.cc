// PCIe link of GPUs: fewer lanes than they have; a lower generation while they work.
#include "agent/checks/builtin/gpu_spec.h"
#include "agent/checks/builtin/judged.h"
#include "agent/checks/builtin/nvml.h"
#include "agent/checks/builtin/rows.h"

namespace faultline {
namespace {

class GpuPcie final : public Check {
 public:
  explicit GpuPcie(CheckParameters& parameters) { (void)parameters; }
  Finding Evaluate(const HostView& /*host*/) override {
    const auto gpus = LookAtGpus();
    if (!gpus) return Finding::NotApplicable(gpus.error().message);
    Judged judged;
    for (const GpuState& gpu : *gpus) {
      const std::string who = gpu.uuid.empty() ? fmt::format("GPU {}", gpu.index) : gpu.uuid;
      const GpuSpec& spec = GpuSpecOf(gpu.pci_id);
      (void)spec;
      if (!gpu.pcie_width || !gpu.max_pcie_width) continue;
      judged.Saw();
      if (*gpu.pcie_width < *gpu.max_pcie_width) {
        judged.Problem(
            who, fmt::format("{}: {} of {} lanes", who, *gpu.pcie_width, *gpu.max_pcie_width));
      }
      // At rest the generation falls to save power.
      if (gpu.utilization.value_or(0) > 50 && gpu.pcie_generation && gpu.max_pcie_generation &&
          *gpu.pcie_generation < *gpu.max_pcie_generation) {
        judged.Degraded(who, fmt::format("{}: generation {} of {}", who, *gpu.pcie_generation,
                                         *gpu.max_pcie_generation));
      }
    }
    if (judged.seen() == 0 && judged.ok()) return Finding::NotApplicable("no GPU tells");
    return judged.Finish(fmt::format("{} GPUs: full width", judged.seen()), "");
  }
};

}  // namespace

std::unique_ptr<Check> MakeGpuPcie(CheckParameters& parameters) {
  return std::make_unique<GpuPcie>(parameters);
}

}  // namespace faultline
