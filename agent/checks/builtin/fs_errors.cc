// Errors that ext4 keeps in its superblock.
#include "agent/checks/builtin/judged.h"
#include "agent/checks/builtin/rows.h"

namespace faultline {
namespace {

class FsErrors final : public Check {
 public:
  explicit FsErrors(CheckParameters& parameters) { (void)parameters; }
  Finding Evaluate(const HostView& host) override {
    const auto disks = host.fs.List("/sys/fs/ext4");
    Judged judged;
    for (size_t i = 0; disks && i < disks->size(); ++i) {
      const std::string& name = (*disks)[i];
      const auto count = host.fs.ReadInt("/sys/fs/ext4/" + name + "/errors_count");
      if (!count) continue;
      judged.Saw();
      if (*count > 0) judged.Problem(name, fmt::format("ext4 on {} has {} errors", name, *count));
    }
    if (judged.seen() == 0) return Finding::NotApplicable("no ext4 filesystem");
    return judged.Finish(fmt::format("{} ext4 filesystems without errors", judged.seen()), "0");
  }
};

}  // namespace

std::unique_ptr<Check> MakeFsErrors(CheckParameters& parameters) {
  return std::make_unique<FsErrors>(parameters);
}

}  // namespace faultline
