// Kernel modules that GPU nodes need: nvidia, and nvidia_peermem beside InfiniBand.
#include "agent/checks/builtin/accelerators.h"
#include "agent/checks/builtin/judged.h"
#include "agent/checks/builtin/rows.h"

namespace faultline {
namespace {

class NvidiaModules final : public Check {
 public:
  explicit NvidiaModules(CheckParameters& parameters)
      : wanted_(parameters.Text("modules", "nvidia,nvidia_uvm,nvidia_peermem")) {}
  Finding Evaluate(const HostView& host) override {
    if (!HasAccelerator(host)) return Finding::NotApplicable("no NVIDIA GPU here");
    Judged judged;
    for (const std::string_view name : Split(wanted_, ',')) {
      if (Trim(name) == "nvidia_peermem" && !host.fs.Exists("/sys/class/infiniband")) continue;
      judged.Saw();
      if (!host.fs.Exists(fmt::format("/sys/module/{}", Trim(name)))) {
        judged.Problem(Trim(name), fmt::format("module {} is not loaded", Trim(name)));
      }
    }
    return judged.Finish(fmt::format("{} modules are loaded", judged.seen()), wanted_);
  }

 private:
  const std::string wanted_;
};

}  // namespace

std::unique_ptr<Check> MakeNvidiaModules(CheckParameters& parameters) {
  return std::make_unique<NvidiaModules>(parameters);
}

}  // namespace faultline
