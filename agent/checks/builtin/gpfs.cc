// GPFS: its daemon runs and what it should mount is mounted.
#include <algorithm>

#include "agent/checks/builtin/judged.h"
#include "agent/checks/builtin/mounts.h"
#include "agent/checks/builtin/processes_seen.h"
#include "agent/checks/builtin/rows.h"

namespace faultline {
namespace {

class Gpfs final : public Check {
 public:
  explicit Gpfs(CheckParameters& parameters) : mounts_(parameters.Text("mounts", "")) {}
  Finding Evaluate(const HostView& host) override {
    const bool installed = host.fs.Exists("/usr/lpp/mmfs/bin/mmfsd") || host.fs.Exists("/var/mmfs");
    if (!installed) return Finding::NotApplicable("no GPFS here");
    Judged judged;
    bool runs = false;
    for (const ProcessSight& process : ReadProcesses(host)) runs |= process.comm == "mmfsd";
    if (!runs) judged.Problem("mmfsd", "mmfsd does not run");
    const auto mounts = ReadMounts(host);
    for (const std::string_view wanted : Split(mounts_, ',')) {
      if (Trim(wanted).empty()) continue;
      const bool there = std::ranges::any_of(mounts, [&](const Mount& mount) {
        return mount.type == "gpfs" && mount.point == Trim(wanted);
      });
      if (!there) judged.Problem(Trim(wanted), fmt::format("{} is not mounted", Trim(wanted)));
    }
    return judged.Finish("mmfsd runs", "mmfsd and its mounts");
  }

 private:
  const std::string mounts_;
};

}  // namespace

std::unique_ptr<Check> MakeGpfs(CheckParameters& parameters) {
  return std::make_unique<Gpfs>(parameters);
}

}  // namespace faultline
