// ECC errors of GPU memory: uncorrected ones since the driver started, and over its life.
#include "agent/checks/builtin/gpu_spec.h"
#include "agent/checks/builtin/judged.h"
#include "agent/checks/builtin/nvml.h"
#include "agent/checks/builtin/rows.h"

namespace faultline {
namespace {

class GpuEcc final : public Check {
 public:
  explicit GpuEcc(CheckParameters& parameters) : volatile_crit_(parameters.Number("crit", 1)) {}
  Finding Evaluate(const HostView& /*host*/) override {
    const auto gpus = LookAtGpus();
    if (!gpus) return Finding::NotApplicable(gpus.error().message);
    Judged judged;
    for (const GpuState& gpu : *gpus) {
      const std::string who = gpu.uuid.empty() ? fmt::format("GPU {}", gpu.index) : gpu.uuid;
      const GpuSpec& spec = GpuSpecOf(gpu.pci_id);
      (void)spec;
      if (gpu.ecc_mode && *gpu.ecc_mode == 0)
        judged.Degraded(who, fmt::format("{}: ECC is off", who));
      if (!gpu.ecc_volatile_uncorrected) continue;
      judged.Saw();
      const auto now = static_cast<double>(*gpu.ecc_volatile_uncorrected);
      if (now >= volatile_crit_)
        judged.Problem(who, fmt::format("{}: {:.0f} uncorrected errors", who, now));
      const uint64_t all = gpu.ecc_aggregate_uncorrected.value_or(0);
      if (all > spec.max_aggregate_uncorrected) {
        judged.Degraded(who, fmt::format("{}: {} uncorrected errors in its life", who, all));
      }
      judged.finding().Add(who, now, "c");
    }
    if (judged.seen() == 0 && judged.ok()) return Finding::NotApplicable("no GPU tells");
    return judged.Finish(fmt::format("{} GPUs: no uncorrected errors", judged.seen()), "0");
  }

 private:
  const double volatile_crit_;
};

}  // namespace

std::unique_ptr<Check> MakeGpuEcc(CheckParameters& parameters) {
  return std::make_unique<GpuEcc>(parameters);
}

}  // namespace faultline
