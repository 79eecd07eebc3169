// Processes that ended and that nobody waits for.
#include "agent/checks/builtin/judged.h"
#include "agent/checks/builtin/processes_seen.h"
#include "agent/checks/builtin/rows.h"

namespace faultline {
namespace {

class Zombies final : public Check {
 public:
  explicit Zombies(CheckParameters& parameters)
      : warn_(parameters.Number("warn", 20)), crit_(parameters.Number("crit", 200)) {}
  Finding Evaluate(const HostView& host) override {
    const auto processes = ReadProcesses(host);
    if (processes.empty()) return Finding::Unknown("/proc cannot be read");
    double zombies = 0;
    std::string parents;
    for (const ProcessSight& process : processes) {
      if (process.state != 'Z') continue;
      if (++zombies <= 5)
        parents +=
            fmt::format("{}{} of {}", parents.empty() ? "" : ", ", process.comm, process.parent);
    }
    Judged judged;
    judged.High(zombies, warn_, crit_, "", fmt::format("{:.0f} zombies: {}", zombies, parents));
    judged.finding().Add("zombies", zombies);
    return judged.Finish(fmt::format("{:.0f} zombies", zombies), fmt::format("below {}", warn_));
  }

 private:
  const double warn_;
  const double crit_;
};

}  // namespace

std::unique_ptr<Check> MakeZombies(CheckParameters& parameters) {
  return std::make_unique<Zombies>(parameters);
}

}  // namespace faultline
