// Threads against the number that the kernel allows.
#include <algorithm>
#include "agent/checks/builtin/judged.h"
#include "agent/checks/builtin/rows.h"

namespace faultline {
namespace {

class PidUsage final : public Check {
 public:
  explicit PidUsage(CheckParameters& parameters)
      : warn_(parameters.Number("warn", 80)), crit_(parameters.Number("crit", 95)) {}
  Finding Evaluate(const HostView& host) override {
    const std::string text = host.fs.Read("/proc/loadavg").value_or("");
    std::string_view rest = text;
    for (int i = 0; i < 3; ++i) NextWord(rest);
    const std::string_view tasks = NextWord(rest);
    const double threads =
        ParseDouble(tasks.substr(std::min(tasks.size(), tasks.find('/') + 1))).value_or(0);
    const auto pid_max = host.fs.ReadInt("/proc/sys/kernel/pid_max");
    const auto thread_max = host.fs.ReadInt("/proc/sys/kernel/threads-max");
    if (!pid_max || threads <= 0) return Finding::Unknown("the kernel does not say");
    const auto limit = static_cast<double>(std::min(*pid_max, thread_max.value_or(*pid_max)));
    const double used = Percent(threads, limit);
    Judged judged;
    judged.High(used, warn_, crit_, "", fmt::format("{:.0f} of {:.0f} threads", threads, limit));
    judged.finding().Add("used", used, "%");
    return judged.Finish(fmt::format("{:.0f} of {:.0f} threads", threads, limit),
                         fmt::format("below {} %", warn_));
  }

 private:
  const double warn_;
  const double crit_;
};

}  // namespace

std::unique_ptr<Check> MakePidUsage(CheckParameters& parameters) {
  return std::make_unique<PidUsage>(parameters);
}

}  // namespace faultline
