// The fabric manager that NVSwitch systems need.
#include "agent/checks/builtin/judged.h"
#include "agent/checks/builtin/processes_seen.h"
#include "agent/checks/builtin/rows.h"

namespace faultline {
namespace {

class NvidiaFabric final : public Check {
 public:
  explicit NvidiaFabric(CheckParameters& parameters) { (void)parameters; }
  Finding Evaluate(const HostView& host) override {
    bool needed = false;
    const auto devices = host.fs.List("/sys/bus/pci/devices");
    for (size_t i = 0; devices && i < devices->size(); ++i) {
      const std::string folder = "/sys/bus/pci/devices/" + (*devices)[i];
      needed |= host.fs.ReadTrimmed(folder + "/vendor").value_or("") == "0x10de" &&
                host.fs.ReadTrimmed(folder + "/class").value_or("") == "0x068000";
    }
    if (!needed) return Finding::NotApplicable("no NVSwitch here");
    for (const ProcessSight& process : ReadProcesses(host)) {
      if (process.comm.starts_with("nv-fabricmanage")) return Finding::Ok("nv-fabricmanager runs");
    }
    Judged judged;
    judged.Problem("", "nv-fabricmanager does not run");
    return judged.Finish("", "running");
  }
};

}  // namespace

std::unique_ptr<Check> MakeNvidiaFabric(CheckParameters& parameters) {
  return std::make_unique<NvidiaFabric>(parameters);
}

}  // namespace faultline
