// Every mount is asked for its usage; one that does not answer hangs, and with it all who touch it.
#include "agent/checks/builtin/judged.h"
#include "agent/checks/builtin/mounts.h"
#include "agent/checks/builtin/rows.h"
#include "common/statfs_pool.h"

namespace faultline {
namespace {

class MountHang final : public Check {
 public:
  explicit MountHang(CheckParameters& parameters) : exclude_(parameters.Text("exclude", "")) {}
  Finding Evaluate(const HostView& host) override {
    Judged judged;
    std::vector<std::string> points;
    std::vector<std::string> paths;
    for (const Mount& mount : ReadMounts(host)) {
      if (mount.IsPseudo() || NameIn(exclude_, mount.point)) continue;
      points.push_back(mount.point);
      paths.push_back(host.fs.Path(mount.point));
    }
    const auto answers = pool_.Ask(paths);
    for (size_t i = 0; i < answers.size(); ++i) {
      judged.Saw();
      if (answers[i].state != StatfsPool::Answer::State::kStuck) continue;
      judged.Problem(points[i], fmt::format("{} does not answer", points[i]));
    }
    if (judged.seen() == 0) return Finding::NotApplicable("no mounts");
    return judged.Finish(fmt::format("{} mounts answer", judged.seen()), "an answer within 0.5 s");
  }

 private:
  const std::string exclude_;
  StatfsPool pool_;
};

}  // namespace

std::unique_ptr<Check> MakeMountHang(CheckParameters& parameters) {
  return std::make_unique<MountHang>(parameters);
}

}  // namespace faultline
