// Bonds with members that are down.
#include "agent/checks/builtin/judged.h"
#include "agent/checks/builtin/rows.h"

namespace faultline {
namespace {

class NetBond final : public Check {
 public:
  explicit NetBond(CheckParameters& parameters) { (void)parameters; }
  Finding Evaluate(const HostView& host) override {
    const auto masters = host.fs.ReadTrimmed("/sys/class/net/bonding_masters");
    if (!masters || masters->empty()) return Finding::NotApplicable("no bonds");
    Judged judged;
    std::string_view rest = *masters;
    for (std::string_view bond = NextWord(rest); !bond.empty(); bond = NextWord(rest)) {
      const std::string name(bond);
      judged.Saw();
      const std::string members =
          host.fs.ReadTrimmed("/sys/class/net/" + name + "/bonding/slaves").value_or("");
      if (members.empty()) judged.Degraded(name, fmt::format("{} has no members", name));
      std::string_view left = members;
      for (std::string_view member = NextWord(left); !member.empty(); member = NextWord(left)) {
        std::string path = fmt::format("/sys/class/net/{}/bonding_slave/mii_status", member);
        if (!host.fs.Exists(path))
          path = fmt::format("/sys/class/net/{}/lower_{}/bonding_slave/mii_status", name, member);
        if (!host.fs.Exists(path))
          path = fmt::format("/sys/class/net/{}/slave_{}/bonding_slave/mii_status", name, member);
        const std::string status = host.fs.ReadTrimmed(path).value_or("unknown");
        if (status != "up")
          judged.Problem(member, fmt::format("{} of {} is {}", member, name, status));
      }
    }
    return judged.Finish(fmt::format("{} bonds are whole", judged.seen()), "every member up");
  }
};

}  // namespace

std::unique_ptr<Check> MakeNetBond(CheckParameters& parameters) {
  return std::make_unique<NetBond>(parameters);
}

}  // namespace faultline
