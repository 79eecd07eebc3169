// Number of InfiniBand and RoCE adapters against `count`: an adapter that fell off the bus.
#include <algorithm>
#include "agent/checks/builtin/judged.h"
#include "agent/checks/builtin/rows.h"

namespace faultline {
namespace {

class IbDevices final : public Check {
 public:
  explicit IbDevices(CheckParameters& parameters) : count_(parameters.Number("count", 0)) {}
  Finding Evaluate(const HostView& host) override {
    const auto names = host.fs.List("/sys/class/infiniband");
    const double have = names ? static_cast<double>(names->size()) : 0;
    // Adapters that were there before this program's start are not missed without `count`.
    most_ = std::max(most_, have);
    const double wanted = count_ > 0 ? count_ : most_;
    if (wanted == 0) return Finding::NotApplicable("no InfiniBand or RoCE adapter");
    Judged judged;
    if (have < wanted)
      judged.Problem("", fmt::format("{:.0f} adapters, should be {:.0f}", have, wanted));
    return judged.Finish(fmt::format("{:.0f} adapters", have), fmt::format("{:.0f}", wanted));
  }

 private:
  const double count_;
  double most_ = 0;
};

}  // namespace

std::unique_ptr<Check> MakeIbDevices(CheckParameters& parameters) {
  return std::make_unique<IbDevices>(parameters);
}

}  // namespace faultline
