// Processes that the kernel killed for want of memory since the last look.
#include "agent/checks/builtin/judged.h"
#include "agent/checks/builtin/rows.h"

namespace faultline {
namespace {

class OomKills final : public Check {
 public:
  explicit OomKills(CheckParameters& parameters) { (void)parameters; }
  Finding Evaluate(const HostView& host) override {
    const auto text = host.fs.Read("/proc/vmstat");
    if (!text) return Finding::Unknown(text.error().message);
    const double kills = FieldOf(*text, "oom_kill");
    if (kills < 0) return Finding::NotApplicable("the kernel does not count them");
    const double grown = growth_.Of("oom_kill", kills).value_or(0);
    Judged judged;
    if (grown > 0)
      judged.Problem("", fmt::format("{:.0f} processes were killed for want of memory", grown));
    judged.finding().Add("oom_kills", grown, "c");
    return judged.Finish("none since the last look", "none");
  }

 private:
  Growth growth_;
};

}  // namespace

std::unique_ptr<Check> MakeOomKills(CheckParameters& parameters) {
  return std::make_unique<OomKills>(parameters);
}

}  // namespace faultline
