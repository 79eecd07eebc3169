// Limit of open files of programs that need many.
#include "agent/checks/builtin/judged.h"
#include "agent/checks/builtin/processes_seen.h"
#include "agent/checks/builtin/rows.h"

namespace faultline {
namespace {

class Ulimits final : public Check {
 public:
  explicit Ulimits(CheckParameters& parameters)
      : programs_(parameters.Text("programs", "containerd,dockerd,kubelet,crio")),
        min_(parameters.Number("min", 65536)) {}
  Finding Evaluate(const HostView& host) override {
    Judged judged;
    for (const ProcessSight& process : ReadProcesses(host)) {
      if (!NameIn(programs_, process.comm)) continue;
      const std::string text =
          host.fs.Read(fmt::format("/proc/{}/limits", process.pid)).value_or("");
      std::string_view rest = text, line;
      while (NextLine(rest, line)) {
        if (!line.starts_with("Max open files")) continue;
        line.remove_prefix(14);
        const std::string_view soft = NextWord(line);
        judged.Saw();
        if (soft != "unlimited" && ParseDouble(soft).value_or(0) < min_) {
          judged.Degraded(process.comm, fmt::format("{} ({}) may open {} files", process.comm,
                                                    process.pid, soft));
        }
      }
    }
    if (judged.seen() == 0) return Finding::NotApplicable("none of the programs runs");
    return judged.Finish(fmt::format("{} processes may open enough files", judged.seen()),
                         fmt::format("at least {}", min_));
  }

 private:
  const std::string programs_;
  const double min_;
};

}  // namespace

std::unique_ptr<Check> MakeUlimits(CheckParameters& parameters) {
  return std::make_unique<Ulimits>(parameters);
}

}  // namespace faultline
