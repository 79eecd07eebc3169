// Temperature of GPUs and their memory against the limits of the model.
#include "agent/checks/builtin/gpu_spec.h"
#include "agent/checks/builtin/judged.h"
#include "agent/checks/builtin/nvml.h"
#include "agent/checks/builtin/rows.h"

namespace faultline {
namespace {

class GpuTemperature final : public Check {
 public:
  explicit GpuTemperature(CheckParameters& parameters) : warn_(parameters.Number("warn", 0)) {}
  Finding Evaluate(const HostView& /*host*/) override {
    const auto gpus = LookAtGpus();
    if (!gpus) return Finding::NotApplicable(gpus.error().message);
    Judged judged;
    for (const GpuState& gpu : *gpus) {
      const std::string who = gpu.uuid.empty() ? fmt::format("GPU {}", gpu.index) : gpu.uuid;
      const GpuSpec& spec = GpuSpecOf(gpu.pci_id);
      (void)spec;
      if (!gpu.temperature) continue;
      judged.Saw();
      const double limit = warn_ > 0 ? warn_ : spec.max_temperature;
      judged.High(*gpu.temperature, limit, limit + 10, who,
                  fmt::format("{} has {} °C", who, *gpu.temperature));
      if (gpu.memory_temperature && *gpu.memory_temperature > spec.max_memory_temperature) {
        judged.Degraded(who, fmt::format("memory of {} has {} °C", who, *gpu.memory_temperature));
      }
      judged.finding().Add(who, *gpu.temperature, "C");
    }
    if (judged.seen() == 0 && judged.ok()) return Finding::NotApplicable("no GPU tells");
    return judged.Finish(fmt::format("{} GPUs: cool enough", judged.seen()), "");
  }

 private:
  const double warn_;
};

}  // namespace

std::unique_ptr<Check> MakeGpuTemperature(CheckParameters& parameters) {
  return std::make_unique<GpuTemperature>(parameters);
}

}  // namespace faultline
