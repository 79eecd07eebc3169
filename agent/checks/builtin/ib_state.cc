// State of every InfiniBand and RoCE port.
#include "agent/checks/builtin/accelerators.h"
#include "agent/checks/builtin/judged.h"
#include "agent/checks/builtin/rows.h"

namespace faultline {
namespace {

class IbState final : public Check {
 public:
  explicit IbState(CheckParameters& parameters) : include_(parameters.Text("include", "*")) {}
  Finding Evaluate(const HostView& host) override {
    Judged judged;
    for (const IbPort& port : ReadIbPorts(host)) {
      if (!NameIn(include_, port.device)) continue;
      judged.Saw();
      const std::string state = host.fs.ReadTrimmed(port.folder + "/state").value_or("?");
      const std::string physical = host.fs.ReadTrimmed(port.folder + "/phys_state").value_or("?");
      if (state.find("ACTIVE") == std::string::npos)
        judged.Problem(port.device, fmt::format("{} is {}", port.name, state));
      if (physical.find("LinkUp") == std::string::npos)
        judged.Problem(port.device, fmt::format("{} is {}", port.name, physical));
    }
    if (judged.seen() == 0) return Finding::NotApplicable("no InfiniBand or RoCE port");
    return judged.Finish(fmt::format("{} ports are active", judged.seen()), "ACTIVE, LinkUp");
  }

 private:
  const std::string include_;
};

}  // namespace

std::unique_ptr<Check> MakeIbState(CheckParameters& parameters) {
  return std::make_unique<IbState>(parameters);
}

}  // namespace faultline
