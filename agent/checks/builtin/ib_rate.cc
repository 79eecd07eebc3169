// Rate of every port against `rate`, or against the fastest of the same kind.
#include <algorithm>

#include "agent/checks/builtin/accelerators.h"
#include "agent/checks/builtin/judged.h"
#include "agent/checks/builtin/rows.h"

namespace faultline {
namespace {

class IbRate final : public Check {
 public:
  explicit IbRate(CheckParameters& parameters) : rate_(parameters.Number("rate", 0)) {}
  Finding Evaluate(const HostView& host) override {
    Judged judged;
    std::map<std::string, double> best;
    const auto ports = ReadIbPorts(host);
    const auto rate_of = [&host](const IbPort& port) {
      const std::string text = host.fs.ReadTrimmed(port.folder + "/rate").value_or("");
      std::string_view rest = text;
      return ParseDouble(NextWord(rest)).value_or(0);
    };
    for (const IbPort& port : ports) best[port.kind] = std::max(best[port.kind], rate_of(port));
    for (const IbPort& port : ports) {
      judged.Saw();
      const double rate = rate_of(port);
      const double wanted = rate_ > 0 ? rate_ : best[port.kind];
      judged.finding().Add(port.name, rate, "Gb/s");
      if (rate < wanted)
        judged.Problem(port.device,
                       fmt::format("{} has {} Gb/s, should have {}", port.name, rate, wanted));
    }
    if (judged.seen() == 0) return Finding::NotApplicable("no InfiniBand or RoCE port");
    return judged.Finish(fmt::format("{} ports at full rate", judged.seen()));
  }

 private:
  const double rate_;
};

}  // namespace

std::unique_ptr<Check> MakeIbRate(CheckParameters& parameters) {
  return std::make_unique<IbRate>(parameters);
}

}  // namespace faultline
