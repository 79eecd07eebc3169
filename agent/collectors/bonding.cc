// Bonded network devices: how many members each has, and how many of them have a link
// (/sys/class/net).
#include "agent/collectors/collector.h"
#include "common/text.h"

namespace faultline {
namespace {

constexpr MetricFamily kSlaves = {"node_bonding_slaves", v1::METRIC_TYPE_GAUGE,
                                  "Devices that belong to this bond."};
constexpr MetricFamily kActive = {"node_bonding_active", v1::METRIC_TYPE_GAUGE,
                                  "Devices of this bond that have a link."};

class BondingCollector final : public Collector {
 public:
  explicit BondingCollector(const HostView& host) : fs_(host.fs) {}

  Result<void> Collect(Emitter& out) override {
    FAULTLINE_ASSIGN(const std::string masters, fs_.ReadTrimmed("/sys/class/net/bonding_masters"));
    std::string_view rest = masters;
    for (std::string_view master = NextWord(rest); !master.empty(); master = NextWord(rest)) {
      const std::string folder = fmt::format("/sys/class/net/{}", master);
      FAULTLINE_ASSIGN(const std::string slaves, fs_.ReadTrimmed(folder + "/bonding/slaves"));
      std::string_view names = slaves;
      double count = 0, active = 0;
      for (std::string_view slave = NextWord(names); !slave.empty(); slave = NextWord(names)) {
        ++count;
        active += HasLink(folder, slave) ? 1 : 0;
      }
      out.Sample(kSlaves, {{"master", master}}, count);
      out.Sample(kActive, {{"master", master}}, active);
    }
    return {};
  }

 private:
  bool HasLink(const std::string& folder, std::string_view slave) const {
    auto status =
        fs_.ReadTrimmed(fmt::format("{}/lower_{}/bonding_slave/mii_status", folder, slave));
    // Old kernels call the link slave_*.
    if (!status)
      status = fs_.ReadTrimmed(fmt::format("{}/slave_{}/bonding_slave/mii_status", folder, slave));
    return status && *status == "up";
  }

  const FsRoot& fs_;
};

}  // namespace

Result<std::unique_ptr<Collector>> MakeBonding(const LeafContext& context) {
  return std::make_unique<BondingCollector>(context.host);
}

}  // namespace faultline
