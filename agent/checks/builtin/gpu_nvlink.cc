// NVLinks that should be active and are not, and errors on them since the last look.
#include "agent/checks/builtin/gpu_spec.h"
#include "agent/checks/builtin/judged.h"
#include "agent/checks/builtin/nvml.h"
#include "agent/checks/builtin/rows.h"

namespace faultline {
namespace {

class GpuNvlink final : public Check {
 public:
  explicit GpuNvlink(CheckParameters& parameters) { (void)parameters; }
  Finding Evaluate(const HostView& /*host*/) override {
    const auto gpus = LookAtGpus();
    if (!gpus) return Finding::NotApplicable(gpus.error().message);
    Judged judged;
    for (const GpuState& gpu : *gpus) {
      const std::string who = gpu.uuid.empty() ? fmt::format("GPU {}", gpu.index) : gpu.uuid;
      const GpuSpec& spec = GpuSpecOf(gpu.pci_id);
      (void)spec;
      const unsigned wanted = spec.nvlinks != 0 ? spec.nvlinks : gpu.nvlinks.value_or(0);
      if (wanted == 0 || !gpu.nvlinks) continue;
      judged.Saw();
      // A GPU alone in its machine has no partner to be linked with.
      const unsigned active = gpu.nvlinks_active.value_or(0);
      if (active < wanted && (active > 0 || gpus->size() > 1)) {
        judged.Problem(who, fmt::format("{}: {} of {} NVLinks are active", who, active, wanted));
      }
      const double grown =
          growth_.Of(who, static_cast<double>(gpu.nvlink_errors.value_or(0))).value_or(0);
      if (grown > 0) judged.Degraded(who, fmt::format("{}: {:.0f} NVLink errors", who, grown));
    }
    if (judged.seen() == 0 && judged.ok()) return Finding::NotApplicable("no GPU tells");
    return judged.Finish(fmt::format("{} GPUs: links are active", judged.seen()), "");
  }

 private:
  Growth growth_;
};

}  // namespace

std::unique_ptr<Check> MakeGpuNvlink(CheckParameters& parameters) {
  return std::make_unique<GpuNvlink>(parameters);
}

}  // namespace faultline
