// Local filesystems that are mounted read-only although fstab does not say so: what the kernel does
// after an error.
#include "agent/checks/builtin/judged.h"
#include "agent/checks/builtin/mounts.h"
#include "agent/checks/builtin/rows.h"

namespace faultline {
namespace {

class DiskReadonly final : public Check {
 public:
  explicit DiskReadonly(CheckParameters& parameters) : exclude_(parameters.Text("exclude", "")) {}
  Finding Evaluate(const HostView& host) override {
    const std::string fstab = host.fs.Read("/etc/fstab").value_or("");
    Judged judged;
    for (const Mount& mount : LocalMounts(host, exclude_)) {
      if (mount.type == "iso9660" || mount.type == "squashfs" || mount.type == "erofs") continue;
      judged.Saw();
      if (!mount.HasOption("ro")) continue;
      bool meant = false;
      std::string_view rest = fstab, line;
      while (NextLine(rest, line)) {
        NextWord(line);
        if (NextWord(line) != mount.point) continue;
        NextWord(line);
        meant = NameIn(NextWord(line), "ro");
      }
      if (!meant) judged.Problem(mount.point, fmt::format("{} is mounted read-only", mount.point));
    }
    if (judged.seen() == 0) return Finding::NotApplicable("no local filesystem");
    return judged.Finish(fmt::format("{} filesystems can be written", judged.seen()), "rw");
  }

 private:
  const std::string exclude_;
};

}  // namespace

std::unique_ptr<Check> MakeDiskReadonly(CheckParameters& parameters) {
  return std::make_unique<DiskReadonly>(parameters);
}

}  // namespace faultline
