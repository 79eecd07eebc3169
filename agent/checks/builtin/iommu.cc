// IOMMU in translating mode slows traffic between GPUs and adapters.
#include "agent/checks/builtin/accelerators.h"
#include "agent/checks/builtin/judged.h"
#include "agent/checks/builtin/rows.h"

namespace faultline {
namespace {

class Iommu final : public Check {
 public:
  explicit Iommu(CheckParameters& parameters) : wanted_(parameters.Text("wanted", "")) {}
  Finding Evaluate(const HostView& host) override {
    const auto groups = host.fs.List("/sys/class/iommu");
    const bool on = groups && !groups->empty();
    if (!host.fs.Exists("/sys/bus/pci/devices")) return Finding::NotApplicable("no PCI bus");
    if (wanted_.empty() && !HasAccelerator(host))
      return Finding::NotApplicable("no accelerator here");
    const std::string wanted = wanted_.empty() ? "off" : wanted_;
    const bool passthrough =
        host.fs.Read("/proc/cmdline").value_or("").find("iommu=pt") != std::string::npos;
    Judged judged;
    if (wanted == "off" && on && !passthrough) judged.Degraded("", "the IOMMU translates");
    if (wanted == "on" && !on) judged.Degraded("", "the IOMMU is off");
    return judged.Finish(on ? passthrough ? "on, passed through" : "on" : "off", wanted);
  }

 private:
  const std::string wanted_;
};

}  // namespace

std::unique_ptr<Check> MakeIommu(CheckParameters& parameters) {
  return std::make_unique<Iommu>(parameters);
}

}  // namespace faultline
