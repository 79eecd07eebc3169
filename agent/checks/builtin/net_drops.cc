// Packets dropped by interfaces since the last look, for each million packets.
#include <algorithm>
#include "agent/checks/builtin/judged.h"
#include "agent/checks/builtin/rows.h"

namespace faultline {
namespace {

class NetDrops final : public Check {
 public:
  explicit NetDrops(CheckParameters& parameters)
      : warn_(parameters.Number("warn", 1000)), crit_(parameters.Number("crit", 50000)) {}
  Finding Evaluate(const HostView& host) override {
    const auto names = host.fs.List("/sys/class/net");
    Judged judged;
    for (size_t i = 0; names && i < names->size(); ++i) {
      const std::string& name = (*names)[i];
      if (name == "lo") continue;
      const std::string folder = "/sys/class/net/" + name + "/statistics/";
      double bad = 0, packets = 0;
      for (const char* key : {"rx_dropped", "tx_dropped"})
        bad += static_cast<double>(host.fs.ReadInt(folder + key).value_or(0));
      for (const char* key : {"rx_packets", "tx_packets"})
        packets += static_cast<double>(host.fs.ReadInt(folder + key).value_or(0));
      judged.Saw();
      const auto new_bad = growth_.Of(name + "/bad", bad);
      const auto moved = growth_.Of(name + "/packets", packets);
      if (!new_bad || !moved || *new_bad < 10) continue;
      const double rate = *new_bad * 1e6 / std::max(*moved, *new_bad);
      judged.High(rate, warn_, crit_, name,
                  fmt::format("{}: {:.0f} drops in {:.0f} packets", name, *new_bad, *moved));
    }
    if (judged.seen() == 0) return Finding::NotApplicable("no interfaces");
    return judged.Finish(fmt::format("{} interfaces are well", judged.seen()),
                         fmt::format("below {} in a million", warn_));
  }

 private:
  const double warn_;
  const double crit_;
  Growth growth_;
};

}  // namespace

std::unique_ptr<Check> MakeNetDrops(CheckParameters& parameters) {
  return std::make_unique<NetDrops>(parameters);
}

}  // namespace faultline
