// What interfaces counted against them since the last look, for each million packets: errors and
// drops. One check for each row of the table.
#include <algorithm>

#include "agent/checks/builtin/judged.h"
#include "agent/checks/builtin/rows.h"

namespace faultline {
namespace {

struct NetCounted {
  const char* what;
  const char* received;  // files in /sys/class/net/<name>/statistics
  const char* sent;
  double warn;  // in a million packets
  double crit;
};
constexpr NetCounted kNetErrors{"errors", "rx_errors", "tx_errors", 100, 10'000};
constexpr NetCounted kNetDrops{"drops", "rx_dropped", "tx_dropped", 1000, 50'000};
constexpr double kFewestBad = 10;  // fewer say nothing

class NetCounters final : public Check {
 public:
  NetCounters(const NetCounted& counted, CheckParameters& parameters)
      : counted_(counted),
        warn_(parameters.Number("warn", counted.warn)),
        crit_(parameters.Number("crit", counted.crit)) {}
  Finding Evaluate(const HostView& host) override {
    const auto names = host.fs.List("/sys/class/net");
    Judged judged;
    for (size_t i = 0; names && i < names->size(); ++i) {
      const std::string& name = (*names)[i];
      if (name == "lo") continue;
      const auto sum = [&](const char* one, const char* other) {
        const std::string folder = "/sys/class/net/" + name + "/statistics/";
        return static_cast<double>(host.fs.ReadInt(folder + one).value_or(0)) +
               static_cast<double>(host.fs.ReadInt(folder + other).value_or(0));
      };
      judged.Saw();
      const auto bad = growth_.Of(name + "/bad", sum(counted_.received, counted_.sent));
      const auto moved = growth_.Of(name + "/packets", sum("rx_packets", "tx_packets"));
      if (!bad || !moved || *bad < kFewestBad) continue;
      const double rate = *bad * 1e6 / std::max(*moved, *bad);
      judged.High(
          rate, warn_, crit_, name,
          fmt::format("{}: {:.0f} {} in {:.0f} packets", name, *bad, counted_.what, *moved));
    }
    if (judged.seen() == 0) return Finding::NotApplicable("no interfaces");
    return judged.Finish(fmt::format("{} interfaces are well", judged.seen()),
                         fmt::format("below {} in a million", warn_));
  }

 private:
  const NetCounted counted_;
  const double warn_;
  const double crit_;
  Growth growth_;
};

}  // namespace

std::unique_ptr<Check> MakeNetErrors(CheckParameters& parameters) {
  return std::make_unique<NetCounters>(kNetErrors, parameters);
}
std::unique_ptr<Check> MakeNetDrops(CheckParameters& parameters) {
  return std::make_unique<NetCounters>(kNetDrops, parameters);
}

}  // namespace faultline
