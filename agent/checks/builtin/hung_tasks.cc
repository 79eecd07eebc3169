// Processes that wait in the kernel (state D) at two looks after each other, with nothing done
// between.
#include "agent/checks/builtin/judged.h"
#include "agent/checks/builtin/processes_seen.h"
#include "agent/checks/builtin/rows.h"

namespace faultline {
namespace {

class HungTasks final : public Check {
 public:
  explicit HungTasks(CheckParameters& parameters)
      : warn_(parameters.Number("warn", 1)), crit_(parameters.Number("crit", 10)) {}
  Finding Evaluate(const HostView& host) override {
    const auto processes = ReadProcesses(host);
    if (processes.empty()) return Finding::Unknown("/proc cannot be read");
    std::map<uint64_t, uint64_t> waiting;
    Judged judged;
    double hung = 0;
    std::string names;
    for (const ProcessSight& process : processes) {
      if (process.state != 'D') continue;
      const uint64_t key = process.pid << 40 ^ process.start_ticks;
      waiting[key] = process.cpu_ticks;
      const auto before = last_.find(key);
      if (before == last_.end() || before->second != process.cpu_ticks) continue;
      if (++hung <= 5)
        names += fmt::format("{}{} ({})", names.empty() ? "" : ", ", process.comm, process.pid);
    }
    last_ = std::move(waiting);
    judged.High(hung, warn_, crit_, names,
                fmt::format("{:.0f} processes hang in the kernel: {}", hung, names));
    judged.finding().Add("hung", hung);
    return judged.Finish("nothing hangs in the kernel", fmt::format("below {}", warn_));
  }

 private:
  const double warn_;
  const double crit_;
  std::map<uint64_t, uint64_t> last_;  // pid and start -> CPU ticks
};

}  // namespace

std::unique_ptr<Check> MakeHungTasks(CheckParameters& parameters) {
  return std::make_unique<HungTasks>(parameters);
}

}  // namespace faultline
