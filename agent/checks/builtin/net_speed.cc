// Speed and duplex of links: a port that fell back.
#include "agent/checks/builtin/judged.h"
#include "agent/checks/builtin/rows.h"

namespace faultline {
namespace {

class NetSpeed final : public Check {
 public:
  explicit NetSpeed(CheckParameters& parameters) : speed_(parameters.Number("speed", 0)) {}
  Finding Evaluate(const HostView& host) override {
    const auto names = host.fs.List("/sys/class/net");
    Judged judged;
    for (size_t i = 0; names && i < names->size(); ++i) {
      const std::string& name = (*names)[i];
      const std::string folder = "/sys/class/net/" + name;
      if (!host.fs.Exists(folder + "/device") ||
          host.fs.ReadInt(folder + "/carrier").value_or(0) != 1)
        continue;
      const auto speed = host.fs.ReadInt(folder + "/speed");
      if (!speed || *speed <= 0) continue;
      judged.Saw();
      judged.finding().Add(name, static_cast<double>(*speed), "Mb/s");
      if (host.fs.ReadTrimmed(folder + "/duplex").value_or("full") == "half") {
        judged.Problem(name, fmt::format("{} is half duplex", name));
      }
      if (speed_ > 0 && static_cast<double>(*speed) < speed_)
        judged.Problem(name, fmt::format("{} has {} Mb/s", name, *speed));
    }
    if (judged.seen() == 0) return Finding::NotApplicable("no link knows its speed");
    return judged.Finish(fmt::format("{} links", judged.seen()),
                         speed_ > 0 ? fmt::format("{} Mb/s", speed_) : "full duplex");
  }

 private:
  const double speed_;
};

}  // namespace

std::unique_ptr<Check> MakeNetSpeed(CheckParameters& parameters) {
  return std::make_unique<NetSpeed>(parameters);
}

}  // namespace faultline
