// PCIe links of accelerators, network adapters and NVMe disks below what both ends can do.
#include "agent/checks/builtin/judged.h"
#include "agent/checks/builtin/rows.h"

namespace faultline {
namespace {

class PcieLink final : public Check {
 public:
  explicit PcieLink(CheckParameters& parameters) { (void)parameters; }
  Finding Evaluate(const HostView& host) override {
    const auto devices = host.fs.List("/sys/bus/pci/devices");
    Judged judged;
    for (size_t i = 0; devices && i < devices->size(); ++i) {
      const std::string& name = (*devices)[i];
      const std::string folder = "/sys/bus/pci/devices/" + name;
      const std::string kind = host.fs.ReadTrimmed(folder + "/class").value_or("");
      if (!kind.starts_with("0x0302") && !kind.starts_with("0x0108") && !kind.starts_with("0x02"))
        continue;
      const auto width = host.fs.ReadInt(folder + "/current_link_width");
      const auto able = host.fs.ReadInt(folder + "/max_link_width");
      if (!width || !able || *able <= 0 || *able > 32) continue;
      judged.Saw();
      if (*width < *able)
        judged.Degraded(name, fmt::format("{} has {} of {} lanes", name, *width, *able));
      // A GPU at rest lowers its speed by itself; gpu_pcie knows better.
      if (kind.starts_with("0x0302")) continue;
      const std::string speed = host.fs.ReadTrimmed(folder + "/current_link_speed").value_or("");
      const std::string best = host.fs.ReadTrimmed(folder + "/max_link_speed").value_or("");
      std::string_view now = speed, most = best;
      const auto have = ParseDouble(NextWord(now)), can = ParseDouble(NextWord(most));
      if (have && can && *have < *can)
        judged.Degraded(name, fmt::format("{} runs at {} of {}", name, speed, best));
    }
    if (judged.seen() == 0) return Finding::NotApplicable("no such PCIe device");
    return judged.Finish(fmt::format("{} links at full width", judged.seen()));
  }
};

}  // namespace

std::unique_ptr<Check> MakePcieLink(CheckParameters& parameters) {
  return std::make_unique<PcieLink>(parameters);
}

}  // namespace faultline
