// Rows of GPU memory that were replaced: too many, waiting for a reset, or not possible any more.
#include "agent/checks/builtin/gpu_spec.h"
#include "agent/checks/builtin/judged.h"
#include "agent/checks/builtin/nvml.h"
#include "agent/checks/builtin/rows.h"

namespace faultline {
namespace {

class GpuRemappedRows final : public Check {
 public:
  explicit GpuRemappedRows(CheckParameters& parameters) { (void)parameters; }
  Finding Evaluate(const HostView& /*host*/) override {
    const auto gpus = LookAtGpus();
    if (!gpus) return Finding::NotApplicable(gpus.error().message);
    Judged judged;
    for (const GpuState& gpu : *gpus) {
      const std::string who = gpu.uuid.empty() ? fmt::format("GPU {}", gpu.index) : gpu.uuid;
      const GpuSpec& spec = GpuSpecOf(gpu.pci_id);
      (void)spec;
      if (!gpu.remapped_uncorrected) continue;
      judged.Saw();
      if (gpu.remap_failed.value_or(0) != 0)
        judged.Problem(who, fmt::format("{}: a row could not be replaced", who));
      if (gpu.remap_pending.value_or(0) != 0)
        judged.Degraded(who, fmt::format("{}: a replaced row waits for a reset", who));
      if (*gpu.remapped_uncorrected > spec.max_remapped_uncorrected) {
        judged.Problem(who,
                       fmt::format("{}: {} rows were replaced", who, *gpu.remapped_uncorrected));
      }
      judged.finding().Add(who, *gpu.remapped_uncorrected, "c");
    }
    if (judged.seen() == 0 && judged.ok()) return Finding::NotApplicable("no GPU tells");
    return judged.Finish(fmt::format("{} GPUs: no row waits", judged.seen()),
                         "none pending, none failed");
  }
};

}  // namespace

std::unique_ptr<Check> MakeGpuRemappedRows(CheckParameters& parameters) {
  return std::make_unique<GpuRemappedRows>(parameters);
}

}  // namespace faultline
