// Mount points of fstab (without noauto) or of `mounts` that nothing is mounted on.
#include <algorithm>

#include "agent/checks/builtin/judged.h"
#include "agent/checks/builtin/mounts.h"
#include "agent/checks/builtin/rows.h"

namespace faultline {
namespace {

class MountMissing final : public Check {
 public:
  explicit MountMissing(CheckParameters& parameters) : wanted_(parameters.Text("mounts", "")) {}
  Finding Evaluate(const HostView& host) override {
    std::vector<std::string> points;
    for (const std::string_view point : Split(wanted_, ',')) {
      if (!Trim(point).empty()) points.emplace_back(Trim(point));
    }
    const std::string fstab = host.fs.Read("/etc/fstab").value_or("");
    std::string_view rest = fstab, line;
    while (NextLine(rest, line)) {
      if (Trim(line).empty() || Trim(line).starts_with('#')) continue;
      NextWord(line);
      const std::string point(NextWord(line));
      const std::string_view type = NextWord(line);
      if (!point.starts_with('/') || type == "swap" || NameIn(NextWord(line), "noauto")) continue;
      points.push_back(point);
    }
    if (points.empty()) return Finding::NotApplicable("neither fstab nor `mounts` names any");
    Judged judged;
    const auto mounts = ReadMounts(host);
    for (const std::string& point : points) {
      const bool there =
          std::ranges::any_of(mounts, [&](const Mount& mount) { return mount.point == point; });
      if (!there) judged.Problem(point, fmt::format("nothing is mounted on {}", point));
    }
    return judged.Finish(fmt::format("{} mounts are there", points.size()));
  }

 private:
  const std::string wanted_;
};

}  // namespace

std::unique_ptr<Check> MakeMountMissing(CheckParameters& parameters) {
  return std::make_unique<MountMissing>(parameters);
}

}  // namespace faultline
