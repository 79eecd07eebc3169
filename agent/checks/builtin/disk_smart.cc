// Health of disks as smartctl tells it, where that is installed.
#include "agent/checks/builtin/judged.h"
#include "agent/checks/builtin/rows.h"
#include "agent/checks/builtin/tool_run.h"

namespace faultline {
namespace {

class DiskSmart final : public Check {
 public:
  explicit DiskSmart(CheckParameters& parameters) { (void)parameters; }
  Finding Evaluate(const HostView& host) override {
    const auto disks = host.fs.List("/sys/block");
    Judged judged;
    for (size_t i = 0; disks && i < disks->size(); ++i) {
      const std::string& name = (*disks)[i];
      if (!name.starts_with("sd") && !name.starts_with("hd")) continue;
      const auto said = RunTool({"smartctl", "-H", host.fs.Path("/dev/" + name)}, 5000);
      if (!said && said.error().code == ErrorCode::kNotFound)
        return Finding::NotApplicable(said.error().message);
      if (!said) {
        judged.Degraded(name, said.error().message);
        continue;
      }
      // Bits of the exit code: 0 to 2 the tool could not ask, 3 the disk says it fails.
      if ((said->exit_code & 7) != 0) continue;
      judged.Saw();
      if ((said->exit_code & 8) != 0)
        judged.Problem(name, fmt::format("{} says that it fails", name));
    }
    if (judged.seen() == 0 && judged.ok()) return Finding::NotApplicable("no disk with SMART");
    return judged.Finish(fmt::format("{} disks are well", judged.seen()), "PASSED");
  }
};

}  // namespace

std::unique_ptr<Check> MakeDiskSmart(CheckParameters& parameters) {
  return std::make_unique<DiskSmart>(parameters);
}

}  // namespace faultline
