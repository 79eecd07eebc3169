// Uncorrected memory errors counted by EDAC.
#include "agent/checks/builtin/judged.h"
#include "agent/checks/builtin/rows.h"

namespace faultline {
namespace {

class MemoryEccUncorrected final : public Check {
 public:
  explicit MemoryEccUncorrected(CheckParameters& parameters)
      : warn_(parameters.Number("warn", 1)), crit_(parameters.Number("crit", 1)) {}
  Finding Evaluate(const HostView& host) override {
    const auto controllers = host.fs.List("/sys/devices/system/edac/mc");
    Judged judged;
    for (size_t i = 0; controllers && i < controllers->size(); ++i) {
      const std::string& name = (*controllers)[i];
      const auto count = host.fs.ReadInt("/sys/devices/system/edac/mc/" + name + "/ue_count");
      if (!count) continue;
      judged.Saw();
      const auto errors = static_cast<double>(*count);
      judged.High(errors, warn_, crit_, name, fmt::format("{} has {} errors", name, *count));
      judged.finding().Add(name, errors, "c");
    }
    if (judged.seen() == 0)
      return Finding::NotApplicable("no memory controller reports errors here");
    return judged.Finish(fmt::format("{} memory controllers are well", judged.seen()),
                         fmt::format("below {}", warn_));
  }

 private:
  const double warn_;
  const double crit_;
};

}  // namespace

std::unique_ptr<Check> MakeMemoryEccUncorrected(CheckParameters& parameters) {
  return std::make_unique<MemoryEccUncorrected>(parameters);
}

}  // namespace faultline
