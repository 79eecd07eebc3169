// Segments that TCP had to send again, of all it sent since the last look.
#include "agent/checks/builtin/judged.h"
#include "agent/checks/builtin/rows.h"
#include "agent/checks/builtin/snmp.h"

namespace faultline {
namespace {

class TcpRetransmits final : public Check {
 public:
  explicit TcpRetransmits(CheckParameters& parameters)
      : warn_(parameters.Number("warn", 2)), crit_(parameters.Number("crit", 10)) {}
  Finding Evaluate(const HostView& host) override {
    const auto sent = SnmpValue(host, "/proc/net/snmp", "Tcp:", "OutSegs");
    const auto again = SnmpValue(host, "/proc/net/snmp", "Tcp:", "RetransSegs");
    if (!sent || !again) return Finding::Unknown("/proc/net/snmp does not say");
    const auto out = growth_.Of("out", *sent);
    const auto repeated = growth_.Of("again", *again);
    if (!out || !repeated || *out < 1000) return Finding::Ok("too little traffic to judge");
    const double share = Percent(*repeated, *out);
    Judged judged;
    judged.High(share, warn_, crit_, "",
                fmt::format("{:.1f} % of segments were sent again", share));
    judged.finding().Add("retransmits", share, "%");
    return judged.Finish(fmt::format("{:.2f} % of segments were sent again", share),
                         fmt::format("below {} %", warn_));
  }

 private:
  const double warn_;
  const double crit_;
  Growth growth_;
};

}  // namespace

std::unique_ptr<Check> MakeTcpRetransmits(CheckParameters& parameters) {
  return std::make_unique<TcpRetransmits>(parameters);
}

}  // namespace faultline
