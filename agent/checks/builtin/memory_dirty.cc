// Pages that wait for the disk: writeback that does not keep up.
#include "agent/checks/builtin/judged.h"
#include "agent/checks/builtin/rows.h"

namespace faultline {
namespace {

class MemoryDirty final : public Check {
 public:
  explicit MemoryDirty(CheckParameters& parameters)
      : warn_(parameters.Number("warn", 20)), crit_(parameters.Number("crit", 40)) {}
  Finding Evaluate(const HostView& host) override {
    const std::string text = host.fs.Read("/proc/meminfo").value_or("");
    if (text.empty()) return Finding::Unknown("/proc/meminfo cannot be read");
    const double share = Percent(FieldOf(text, "Dirty", 0) + FieldOf(text, "Writeback", 0),
                                 FieldOf(text, "MemTotal", 0));
    Judged judged;
    judged.High(share, warn_, crit_, "",
                fmt::format("{:.1f} % of memory waits to be written", share));
    judged.finding().Add("dirty", share, "%");
    return judged.Finish(fmt::format("{:.1f} % of memory waits to be written", share));
  }

 private:
  const double warn_;
  const double crit_;
};

}  // namespace

std::unique_ptr<Check> MakeMemoryDirty(CheckParameters& parameters) {
  return std::make_unique<MemoryDirty>(parameters);
}

}  // namespace faultline
