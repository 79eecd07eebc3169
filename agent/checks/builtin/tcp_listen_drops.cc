// Connections that listening programs were too slow to take.
#include "agent/checks/builtin/judged.h"
#include "agent/checks/builtin/rows.h"
#include "agent/checks/builtin/snmp.h"

namespace faultline {
namespace {

class TcpListenDrops final : public Check {
 public:
  explicit TcpListenDrops(CheckParameters& parameters) : warn_(parameters.Number("warn", 10)) {}
  Finding Evaluate(const HostView& host) override {
    const auto drops = SnmpValue(host, "/proc/net/netstat", "TcpExt:", "ListenDrops");
    if (!drops) return Finding::Unknown("/proc/net/netstat does not say");
    const double grown = growth_.Of("drops", *drops).value_or(0);
    Judged judged;
    if (grown >= warn_)
      judged.Degraded("", fmt::format("{:.0f} connections were dropped by full queues", grown));
    judged.finding().Add("listen_drops", grown, "c");
    return judged.Finish("no connection was dropped", fmt::format("below {}", warn_));
  }

 private:
  const double warn_;
  Growth growth_;
};

}  // namespace

std::unique_ptr<Check> MakeTcpListenDrops(CheckParameters& parameters) {
  return std::make_unique<TcpListenDrops>(parameters);
}

}  // namespace faultline
