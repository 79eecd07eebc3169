// Reasons for which GPUs run slower than they could, those that mean trouble: heat, power brake,
// hardware slowdown.
#include "agent/checks/builtin/gpu_spec.h"
#include "agent/checks/builtin/judged.h"
#include "agent/checks/builtin/nvml.h"
#include "agent/checks/builtin/rows.h"

namespace faultline {
namespace {

class GpuThrottle final : public Check {
 public:
  explicit GpuThrottle(CheckParameters& parameters) { (void)parameters; }
  Finding Evaluate(const HostView& /*host*/) override {
    const auto gpus = LookAtGpus();
    if (!gpus) return Finding::NotApplicable(gpus.error().message);
    Judged judged;
    for (const GpuState& gpu : *gpus) {
      const std::string who = gpu.uuid.empty() ? fmt::format("GPU {}", gpu.index) : gpu.uuid;
      const GpuSpec& spec = GpuSpecOf(gpu.pci_id);
      (void)spec;
      if (!gpu.throttle_reasons) continue;
      judged.Saw();
      constexpr std::pair<uint64_t, const char*> kReasons[] = {{0x08, "hardware slowdown"},
                                                               {0x20, "thermal slowdown"},
                                                               {0x40, "hardware thermal slowdown"},
                                                               {0x80, "power brake"}};
      for (const auto& [bit, reason] : kReasons) {
        if ((*gpu.throttle_reasons & bit) != 0)
          judged.Problem(who, fmt::format("{}: {}", who, reason));
      }
    }
    if (judged.seen() == 0 && judged.ok()) return Finding::NotApplicable("no GPU tells");
    return judged.Finish(fmt::format("{} GPUs: not slowed down", judged.seen()), "none");
  }
};

}  // namespace

std::unique_ptr<Check> MakeGpuThrottle(CheckParameters& parameters) {
  return std::make_unique<GpuThrottle>(parameters);
}

}  // namespace faultline
