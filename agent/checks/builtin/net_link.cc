// Interfaces that are switched on and have no carrier.
#include "agent/checks/builtin/judged.h"
#include "agent/checks/builtin/rows.h"

namespace faultline {
namespace {

class NetLink final : public Check {
 public:
  explicit NetLink(CheckParameters& parameters)
      : include_(parameters.Text("include", "")), exclude_(parameters.Text("exclude", "")) {}
  Finding Evaluate(const HostView& host) override {
    const auto names = host.fs.List("/sys/class/net");
    Judged judged;
    for (size_t i = 0; names && i < names->size(); ++i) {
      const std::string& name = (*names)[i];
      const std::string folder = "/sys/class/net/" + name;
      if (NameIn(exclude_, name) || (!host.fs.Exists(folder + "/device") && include_.empty()))
        continue;
      if (!include_.empty() && !NameIn(include_, name)) continue;
      const auto flags = host.fs.ReadTrimmed(folder + "/flags");
      if (!flags || flags->size() < 3 ||
          (ParseUint(std::string_view(*flags).substr(2), 16).value_or(0) & 1) == 0) {
        if (!include_.empty()) judged.Problem(name, fmt::format("{} is switched off", name));
        continue;
      }
      judged.Saw();
      const bool carrier = host.fs.ReadInt(folder + "/carrier").value_or(0) == 1;
      if (!carrier) judged.Problem(name, fmt::format("{} has no carrier", name));
    }
    if (judged.seen() == 0 && judged.ok())
      return Finding::NotApplicable("no network hardware is switched on");
    return judged.Finish(fmt::format("{} links are up", judged.seen()), "carrier");
  }

 private:
  const std::string include_;
  const std::string exclude_;
};

}  // namespace

std::unique_ptr<Check> MakeNetLink(CheckParameters& parameters) {
  return std::make_unique<NetLink>(parameters);
}

}  // namespace faultline
