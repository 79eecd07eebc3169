// Persistence mode: without it the driver lets go of idle GPUs.
#include "agent/checks/builtin/gpu_spec.h"
#include "agent/checks/builtin/judged.h"
#include "agent/checks/builtin/nvml.h"
#include "agent/checks/builtin/rows.h"

namespace faultline {
namespace {

class GpuPersistence final : public Check {
 public:
  explicit GpuPersistence(CheckParameters& parameters) { (void)parameters; }
  Finding Evaluate(const HostView& /*host*/) override {
    const auto gpus = LookAtGpus();
    if (!gpus) return Finding::NotApplicable(gpus.error().message);
    Judged judged;
    for (const GpuState& gpu : *gpus) {
      const std::string who = gpu.uuid.empty() ? fmt::format("GPU {}", gpu.index) : gpu.uuid;
      const GpuSpec& spec = GpuSpecOf(gpu.pci_id);
      (void)spec;
      if (!gpu.persistence) continue;
      judged.Saw();
      if (*gpu.persistence == 0)
        judged.Degraded(who, fmt::format("{}: persistence mode is off", who));
    }
    if (judged.seen() == 0 && judged.ok()) return Finding::NotApplicable("no GPU tells");
    return judged.Finish(fmt::format("{} GPUs: persistence mode is on", judged.seen()), "on");
  }
};

}  // namespace

std::unique_ptr<Check> MakeGpuPersistence(CheckParameters& parameters) {
  return std::make_unique<GpuPersistence>(parameters);
}

}  // namespace faultline
