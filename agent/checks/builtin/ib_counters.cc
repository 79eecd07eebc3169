// Errors of ports since the last look: link downs, symbol errors, receive errors, transmit
// discards.
#include "agent/checks/builtin/accelerators.h"
#include "agent/checks/builtin/judged.h"
#include "agent/checks/builtin/rows.h"

namespace faultline {
namespace {

class IbCounters final : public Check {
 public:
  explicit IbCounters(CheckParameters& parameters) : warn_(parameters.Number("warn", 10)) {}
  Finding Evaluate(const HostView& host) override {
    Judged judged;
    for (const IbPort& port : ReadIbPorts(host)) {
      judged.Saw();
      for (const char* counter :
           {"link_downed", "symbol_error", "port_rcv_errors", "port_xmit_discards",
            "local_link_integrity_errors", "excessive_buffer_overrun_errors"}) {
        const auto value = host.fs.ReadInt(port.folder + "/counters/" + counter);
        if (!value) continue;
        const double grown =
            growth_.Of(port.name + counter, static_cast<double>(*value)).value_or(0);
        const double limit = std::string_view(counter) == "link_downed" ? 1 : warn_;
        if (grown >= limit)
          judged.Degraded(port.device, fmt::format("{}: {:.0f} {}", port.name, grown, counter));
      }
    }
    if (judged.seen() == 0) return Finding::NotApplicable("no InfiniBand or RoCE port");
    return judged.Finish(fmt::format("{} ports without new errors", judged.seen()),
                         fmt::format("below {}", warn_));
  }

 private:
  const double warn_;
  Growth growth_;
};

}  // namespace

std::unique_ptr<Check> MakeIbCounters(CheckParameters& parameters) {
  return std::make_unique<IbCounters>(parameters);
}

}  // namespace faultline
