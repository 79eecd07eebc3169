// Linux software RAID: arrays that miss a disk.
#include "agent/checks/builtin/judged.h"
#include "agent/checks/builtin/rows.h"

namespace faultline {
namespace {

class RaidDegraded final : public Check {
 public:
  explicit RaidDegraded(CheckParameters& parameters) { (void)parameters; }
  Finding Evaluate(const HostView& host) override {
    const auto text = host.fs.Read("/proc/mdstat");
    if (!text) return Finding::NotApplicable("no software RAID");
    Judged judged;
    std::string_view rest = *text, line;
    std::string array;
    while (NextLine(rest, line)) {
      if (line.starts_with("md")) array = line.substr(0, line.find(' '));
      const size_t open = line.rfind('[');
      if (array.empty() || open == std::string_view::npos ||
          line.find(" blocks") == std::string_view::npos)
        continue;
      judged.Saw();
      const std::string_view disks = line.substr(open + 1, line.find(']', open) - open - 1);
      if (disks.find_first_not_of("U_") != std::string_view::npos) continue;
      if (disks.find('_') != std::string_view::npos)
        judged.Problem(array, fmt::format("{} is [{}]", array, disks));
    }
    if (judged.seen() == 0) return Finding::NotApplicable("no arrays");
    return judged.Finish(fmt::format("{} arrays are whole", judged.seen()), "every disk up");
  }
};

}  // namespace

std::unique_ptr<Check> MakeRaidDegraded(CheckParameters& parameters) {
  return std::make_unique<RaidDegraded>(parameters);
}

}  // namespace faultline
