// How full local filesystems are, as df counts it: space and inodes. One check for each row of the
// table.
#include "agent/checks/builtin/judged.h"
#include "agent/checks/builtin/mounts.h"
#include "agent/checks/builtin/rows.h"
#include "common/statfs_pool.h"

namespace faultline {
namespace {

// Percent in use; below 0: the filesystem does not count it.
double SpaceUsed(const struct statfs& usage) {
  const double used = static_cast<double>(usage.f_blocks - usage.f_bfree);
  return Percent(used, used + static_cast<double>(usage.f_bavail));
}
double InodesUsed(const struct statfs& usage) {
  if (usage.f_files == 0) return -1;
  return Percent(static_cast<double>(usage.f_files - usage.f_ffree),
                 static_cast<double>(usage.f_files));
}

struct DiskMeasure {
  const char* text;  // with mount point and percent
  double (*used)(const struct statfs&);
};
constexpr DiskMeasure kSpace{"{} is {:.0f} % full", SpaceUsed};
constexpr DiskMeasure kInodes{"{} has {:.0f} % of its inodes in use", InodesUsed};

class DiskUsage final : public Check {
 public:
  DiskUsage(const DiskMeasure& measure, CheckParameters& parameters)
      : measure_(measure),
        warn_(parameters.Number("warn", 85)),
        crit_(parameters.Number("crit", 95)),
        exclude_(parameters.Text("exclude", "")) {}
  Finding Evaluate(const HostView& host) override {
    const std::vector<Mount> mounts = LocalMounts(host, exclude_);
    std::vector<std::string> paths;
    for (const Mount& mount : mounts) paths.push_back(host.fs.Path(mount.point));
    const auto answers = pool_.Ask(paths);
    Judged judged;
    for (size_t i = 0; i < answers.size(); ++i) {
      if (answers[i].state != StatfsPool::Answer::State::kGood || answers[i].usage.f_blocks == 0)
        continue;
      const double used = measure_.used(answers[i].usage);
      if (used < 0) continue;
      const std::string& point = mounts[i].point;
      judged.High(used, warn_, crit_, point, fmt::format(fmt::runtime(measure_.text), point, used));
      judged.finding().Add(point, used, "%");
      judged.Saw();
    }
    if (judged.seen() == 0) return Finding::NotApplicable("no local filesystem answers");
    return judged.Finish(fmt::format("{} filesystems are well", judged.seen()),
                         fmt::format("below {} %", warn_));
  }

 private:
  const DiskMeasure measure_;
  const double warn_;
  const double crit_;
  const std::string exclude_;
  StatfsPool pool_;
};

}  // namespace

std::unique_ptr<Check> MakeDiskSpace(CheckParameters& parameters) {
  return std::make_unique<DiskUsage>(kSpace, parameters);
}
std::unique_ptr<Check> MakeDiskInodes(CheckParameters& parameters) {
  return std::make_unique<DiskUsage>(kInodes, parameters);
}

}  // namespace faultline
