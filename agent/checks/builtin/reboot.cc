// A node that started again lately, or that waits to be.
#include "agent/checks/builtin/judged.h"
#include "agent/checks/builtin/rows.h"

namespace faultline {
namespace {

class Reboot final : public Check {
 public:
  explicit Reboot(CheckParameters& parameters) : recent_s_(parameters.Number("recent", 600)) {}
  Finding Evaluate(const HostView& host) override {
    const std::string text = host.fs.Read("/proc/uptime").value_or("");
    std::string_view rest = text;
    const double uptime = ParseDouble(NextWord(rest)).value_or(-1);
    if (uptime < 0) return Finding::Unknown("/proc/uptime does not parse");
    Judged judged;
    if (uptime < recent_s_) judged.Degraded("", fmt::format("started {:.0f} s ago", uptime));
    if (host.fs.Exists("/run/reboot-required") || host.fs.Exists("/var/run/reboot-required")) {
      judged.Degraded("", "an update waits for a reboot");
    }
    judged.finding().Add("uptime", uptime, "s");
    return judged.Finish(fmt::format("up for {:.0f} s", uptime));
  }

 private:
  const double recent_s_;
};

}  // namespace

std::unique_ptr<Check> MakeReboot(CheckParameters& parameters) {
  return std::make_unique<Reboot>(parameters);
}

}  // namespace faultline
