// The default route and the neighbour it leads to.
#include "agent/checks/builtin/judged.h"
#include "agent/checks/builtin/rows.h"

namespace faultline {
namespace {

class Gateway final : public Check {
 public:
  explicit Gateway(CheckParameters& parameters) { (void)parameters; }
  Finding Evaluate(const HostView& host) override {
    const auto text = host.fs.Read("/proc/net/route");
    if (!text) return Finding::NotApplicable("no routes");
    std::string device, address;
    std::string_view rest = *text, line;
    while (NextLine(rest, line)) {
      const std::string_view name = NextWord(line), destination = NextWord(line),
                             gateway = NextWord(line);
      const auto number = ParseUint(gateway, 16);
      if (destination != "00000000" || !number || *number == 0) continue;
      device = name;
      const uint64_t a = *number;
      address = fmt::format("{}.{}.{}.{}", a & 255, a >> 8 & 255, a >> 16 & 255, a >> 24 & 255);
      break;
    }
    if (address.empty()) return Finding::NotApplicable("no default gateway");
    const std::string arp = host.fs.Read("/proc/net/arp").value_or("");
    rest = arp;
    Judged judged;
    while (NextLine(rest, line)) {
      if (NextWord(line) != address) continue;
      NextWord(line);
      const auto flags = ParseUint(NextWord(line).substr(2), 16);
      if (flags && (*flags & 2) == 0)
        judged.Problem(device, fmt::format("gateway {} does not answer on {}", address, device));
    }
    return judged.Finish(fmt::format("gateway {} on {}", address, device), "reachable");
  }
};

}  // namespace

std::unique_ptr<Check> MakeGateway(CheckParameters& parameters) {
  return std::make_unique<Gateway>(parameters);
}

}  // namespace faultline
