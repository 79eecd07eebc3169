// Units of systemd that failed.
#include "agent/checks/builtin/judged.h"
#include "agent/checks/builtin/rows.h"
#include "agent/checks/builtin/tool_run.h"

namespace faultline {
namespace {

class SystemdUnits final : public Check {
 public:
  explicit SystemdUnits(CheckParameters& parameters) : exclude_(parameters.Text("exclude", "")) {}
  Finding Evaluate(const HostView& host) override {
    if (!host.fs.Exists("/run/systemd/system")) return Finding::NotApplicable("no systemd here");
    const auto said = RunTool(
        {"systemctl", "list-units", "--failed", "--plain", "--no-legend", "--no-pager"}, 5000);
    if (!said) return Finding::Unknown(said.error().message);
    Judged judged;
    std::string_view rest = said->output, line;
    while (NextLine(rest, line)) {
      const std::string_view unit = NextWord(line);
      if (!unit.empty() && !NameIn(exclude_, unit))
        judged.Degraded(unit, fmt::format("{} failed", unit));
    }
    if (judged.ok() && said->exit_code != 0) return Finding::Unknown("systemctl gives no list");
    return judged.Finish("no unit failed", "none");
  }

 private:
  const std::string exclude_;
};

}  // namespace

std::unique_ptr<Check> MakeSystemdUnits(CheckParameters& parameters) {
  return std::make_unique<SystemdUnits>(parameters);
}

}  // namespace faultline
