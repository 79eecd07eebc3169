// Inodes in use on every local filesystem.
#include "agent/checks/builtin/judged.h"
#include "agent/checks/builtin/mounts.h"
#include "agent/checks/builtin/rows.h"
#include "common/statfs_pool.h"

namespace faultline {
namespace {

class DiskInodes final : public Check {
 public:
  explicit DiskInodes(CheckParameters& parameters)
      : warn_(parameters.Number("warn", 85)),
        crit_(parameters.Number("crit", 95)),
        exclude_(parameters.Text("exclude", "")) {}
  Finding Evaluate(const HostView& host) override {
    Judged judged;
    const auto judge = [&](const std::string& point, const struct statfs& usage) {
      if (usage.f_files == 0) return;
      const double used = Percent(static_cast<double>(usage.f_files - usage.f_ffree),
                                  static_cast<double>(usage.f_files));
      judged.High(used, warn_, crit_, point,
                  fmt::format("{} has {:.0f} % of its inodes in use", point, used));
      judged.finding().Add(point, used, "%");
      judged.Saw();
    };
    const std::vector<Mount> mounts = LocalMounts(host, exclude_);
    std::vector<std::string> paths;
    for (const Mount& mount : mounts) paths.push_back(host.fs.Path(mount.point));
    const auto answers = pool_.Ask(paths);
    for (size_t i = 0; i < answers.size(); ++i) {
      if (answers[i].state == StatfsPool::Answer::State::kGood && answers[i].usage.f_blocks > 0) {
        judge(mounts[i].point, answers[i].usage);
      }
    }
    if (judged.seen() == 0) return Finding::NotApplicable("no local filesystem answers");
    return judged.Finish(fmt::format("{} filesystems are well", judged.seen()),
                         fmt::format("below {} %", warn_));
  }

 private:
  const double warn_;
  const double crit_;
  const std::string exclude_;
  StatfsPool pool_;
};

}  // namespace

std::unique_ptr<Check> MakeDiskInodes(CheckParameters& parameters) {
  return std::make_unique<DiskInodes>(parameters);
}

}  // namespace faultline
