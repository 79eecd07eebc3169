// MTU of interfaces against `mtu`, or of a bond or bridge against its members.
#include "agent/checks/builtin/judged.h"
#include "agent/checks/builtin/rows.h"

namespace faultline {
namespace {

class NetMtu final : public Check {
 public:
  explicit NetMtu(CheckParameters& parameters)
      : mtu_(parameters.Number("mtu", 0)), include_(parameters.Text("include", "e*,bond*,ib*")) {}
  Finding Evaluate(const HostView& host) override {
    const auto names = host.fs.List("/sys/class/net");
    Judged judged;
    for (size_t i = 0; names && i < names->size(); ++i) {
      const std::string& name = (*names)[i];
      const auto mtu = host.fs.ReadInt("/sys/class/net/" + name + "/mtu");
      if (!mtu) continue;
      if (mtu_ > 0 && NameIn(include_, name)) {
        judged.Saw();
        if (static_cast<double>(*mtu) != mtu_)
          judged.Problem(name, fmt::format("{} has MTU {}", name, *mtu));
      }
      const auto entries = host.fs.List("/sys/class/net/" + name);
      for (size_t k = 0; entries && k < entries->size(); ++k) {
        const std::string& entry = (*entries)[k];
        if (!entry.starts_with("lower_")) continue;
        const auto below = host.fs.ReadInt("/sys/class/net/" + entry.substr(6) + "/mtu");
        if (!below) continue;
        judged.Saw();
        if (*below < *mtu)
          judged.Problem(name, fmt::format("{} has MTU {}, its {} only {}", name, *mtu,
                                           entry.substr(6), *below));
      }
    }
    if (judged.seen() == 0)
      return Finding::NotApplicable("no bonds or bridges, and no `mtu` is set");
    return judged.Finish(fmt::format("{} MTUs fit", judged.seen()));
  }

 private:
  const double mtu_;
  const std::string include_;
};

}  // namespace

std::unique_ptr<Check> MakeNetMtu(CheckParameters& parameters) {
  return std::make_unique<NetMtu>(parameters);
}

}  // namespace faultline
