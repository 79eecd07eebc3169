// Version of the GPU driver against the least that the model needs.
#include "agent/checks/builtin/gpu_spec.h"
#include "agent/checks/builtin/judged.h"
#include "agent/checks/builtin/nvml.h"
#include "agent/checks/builtin/rows.h"

namespace faultline {
namespace {

// By numbers between dots.
bool Older(std::string_view have, std::string_view wanted) {
  const auto a = Split(have, '.'), b = Split(wanted, '.');
  for (size_t i = 0; i < a.size() && i < b.size(); ++i) {
    const auto x = ParseUint(a[i]), y = ParseUint(b[i]);
    if (!x || !y) return false;
    if (*x != *y) return *x < *y;
  }
  return false;
}

class GpuDriver final : public Check {
 public:
  explicit GpuDriver(CheckParameters& parameters) : min_(parameters.Text("min", "")) {}
  Finding Evaluate(const HostView& /*host*/) override {
    const auto gpus = LookAtGpus();
    if (!gpus) return Finding::NotApplicable(gpus.error().message);
    Judged judged;
    const std::string driver = GpuDriverVersion();
    for (const GpuState& gpu : *gpus) {
      const std::string who = gpu.uuid.empty() ? fmt::format("GPU {}", gpu.index) : gpu.uuid;
      const GpuSpec& spec = GpuSpecOf(gpu.pci_id);
      (void)spec;
      judged.Saw();
      const std::string wanted = min_.empty() ? spec.min_driver : min_;
      if (Older(driver, wanted))
        judged.Degraded(who, fmt::format("driver {} is older than {}", driver, wanted));
    }
    if (judged.seen() == 0 && judged.ok()) return Finding::NotApplicable("no GPU tells");
    return judged.Finish(fmt::format("{} GPUs: driver is new enough", judged.seen()), min_);
  }

 private:
  const std::string min_;
};

}  // namespace

std::unique_ptr<Check> MakeGpuDriver(CheckParameters& parameters) {
  return std::make_unique<GpuDriver>(parameters);
}

}  // namespace faultline
