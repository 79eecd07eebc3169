// Power of GPUs at their limit.
#include "agent/checks/builtin/gpu_spec.h"
#include "agent/checks/builtin/judged.h"
#include "agent/checks/builtin/nvml.h"
#include "agent/checks/builtin/rows.h"

namespace faultline {
namespace {

class GpuPower final : public Check {
 public:
  explicit GpuPower(CheckParameters& parameters) : warn_(parameters.Number("warn", 105)) {}
  Finding Evaluate(const HostView& /*host*/) override {
    const auto gpus = LookAtGpus();
    if (!gpus) return Finding::NotApplicable(gpus.error().message);
    Judged judged;
    for (const GpuState& gpu : *gpus) {
      const std::string who = gpu.uuid.empty() ? fmt::format("GPU {}", gpu.index) : gpu.uuid;
      const GpuSpec& spec = GpuSpecOf(gpu.pci_id);
      (void)spec;
      if (!gpu.power_mw || gpu.power_limit_mw.value_or(0) == 0) continue;
      judged.Saw();
      const double used = Percent(*gpu.power_mw, *gpu.power_limit_mw);
      judged.finding().Add(who, *gpu.power_mw / 1000.0, "W");
      if (used >= warn_)
        judged.Degraded(who, fmt::format("{} uses {:.0f} % of its power limit", who, used));
    }
    if (judged.seen() == 0 && judged.ok()) return Finding::NotApplicable("no GPU tells");
    return judged.Finish(fmt::format("{} GPUs: power is within limits", judged.seen()), "");
  }

 private:
  const double warn_;
};

}  // namespace

std::unique_ptr<Check> MakeGpuPower(CheckParameters& parameters) {
  return std::make_unique<GpuPower>(parameters);
}

}  // namespace faultline
