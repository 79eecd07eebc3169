// Local ports in use, of those that the kernel may give to connections.
#include "agent/checks/builtin/judged.h"
#include "agent/checks/builtin/rows.h"

namespace faultline {
namespace {

class TcpPorts final : public Check {
 public:
  explicit TcpPorts(CheckParameters& parameters)
      : warn_(parameters.Number("warn", 80)), crit_(parameters.Number("crit", 95)) {}
  Finding Evaluate(const HostView& host) override {
    const std::string range = host.fs.Read("/proc/sys/net/ipv4/ip_local_port_range").value_or("");
    std::string_view rest = range;
    const double low = ParseDouble(NextWord(rest)).value_or(0);
    const double high = ParseDouble(Trim(NextWord(rest))).value_or(0);
    const std::string text = host.fs.Read("/proc/net/sockstat").value_or("");
    double used = 0;
    std::string_view lines = text, line;
    while (NextLine(lines, line)) {
      if (NextWord(line) != "TCP:") continue;
      for (std::string_view key = NextWord(line); !key.empty(); key = NextWord(line)) {
        const double value = ParseDouble(NextWord(line)).value_or(0);
        if (key == "inuse" || key == "tw") used += value;
      }
    }
    if (high <= low) return Finding::Unknown("the range of ports is not known");
    const double share = Percent(used, high - low + 1);
    Judged judged;
    judged.High(share, warn_, crit_, "",
                fmt::format("{:.0f} sockets for {:.0f} ports", used, high - low + 1));
    judged.finding().Add("used", share, "%");
    return judged.Finish(fmt::format("{:.0f} sockets for {:.0f} ports", used, high - low + 1),
                         fmt::format("below {} %", warn_));
  }

 private:
  const double warn_;
  const double crit_;
};

}  // namespace

std::unique_ptr<Check> MakeTcpPorts(CheckParameters& parameters) {
  return std::make_unique<TcpPorts>(parameters);
}

}  // namespace faultline
