// GPUs against `count` or against the most that were seen: one that fell off the bus.
#include <algorithm>
#include "agent/checks/builtin/accelerators.h"
#include "agent/checks/builtin/gpu_spec.h"
#include "agent/checks/builtin/judged.h"
#include "agent/checks/builtin/nvml.h"
#include "agent/checks/builtin/rows.h"

namespace faultline {
namespace {

class GpuCount final : public Check {
 public:
  explicit GpuCount(CheckParameters& parameters) : count_(parameters.Number("count", 0)) {}
  Finding Evaluate(const HostView& host) override {
    const auto gpus = LookAtGpus();
    if (!gpus && HasAccelerator(host)) {
      // There is one on the bus, and nobody can talk to it.
      Finding finding{.verdict = v1::CHECK_VERDICT_PROBLEM,
                      .message = "a GPU is on the bus, but " + gpus.error().message};
      finding.suggestion = "install or load the driver";
      return finding;
    }
    if (!gpus) return Finding::NotApplicable(gpus.error().message);
    Judged judged;
    most_ = std::max(most_, gpus->size());
    const double wanted = count_ > 0 ? count_ : static_cast<double>(most_);
    if (static_cast<double>(gpus->size()) < wanted) {
      judged.Problem("", fmt::format("{} GPUs, should be {:.0f}", gpus->size(), wanted));
    }
    for (const GpuState& gpu : *gpus) {
      const std::string who = gpu.uuid.empty() ? fmt::format("GPU {}", gpu.index) : gpu.uuid;
      const GpuSpec& spec = GpuSpecOf(gpu.pci_id);
      (void)spec;
      judged.Saw();
      if (gpu.lost || !gpu.error.empty())
        judged.Problem(who, fmt::format("{} does not answer {}", who, gpu.error));
    }
    if (judged.seen() == 0 && judged.ok()) return Finding::NotApplicable("no GPU tells");
    return judged.Finish(fmt::format("{} GPUs: all there", judged.seen()),
                         fmt::format("{}", count_ > 0 ? count_ : static_cast<double>(most_)));
  }

 private:
  const double count_;
  size_t most_ = 0;
};

}  // namespace

std::unique_ptr<Check> MakeGpuCount(CheckParameters& parameters) {
  return std::make_unique<GpuCount>(parameters);
}

}  // namespace faultline
