#include "agent/faults/own_workers.h"

#include <algorithm>

#include "agent/faults/fault_tag.h"
#include "common/text.h"

namespace faultline {
namespace {

constexpr int64_t kLifetimeMarginS = 5;
constexpr size_t kMaxFoldersSwept = 20'000;

// A v2 cgroup whose controllers are handed down to children takes no processes itself; then the
// workers get a child of their own there.
std::string OwnChild(const FaultPlan& plan, const CgroupFolder& folder) {
  return folder.path + "/" + plan.State("child");
}

Result<void> PlaceWorker(uint32_t pid, const FaultPlan& plan, const FaultHost& host) {
  const std::string text = std::to_string(pid);
  for (const CgroupFolder& folder : WorkerFolders(plan)) {
    Result<void> placed = WriteControl(*host.host, folder.path + "/cgroup.procs", text);
    if (!placed && folder.controller.empty()) {
      const std::string child = OwnChild(plan, folder);
      FAULTLINE_TRY(MakeCgroup(*host.host, child));
      placed = WriteControl(*host.host, child + "/cgroup.procs", text);
    }
    if (!placed) return placed;
  }
  return {};
}

}  // namespace

Result<std::vector<CgroupFolder>> PlanWorkerFolders(FaultPlan& plan, const FaultHost& host) {
  const v1::Subject& target = plan.spec.target;
  if (host.worker_program.empty())
    return Fail(ErrorCode::kUnsupported, "no worker program is installed");
  uint32_t pid = 0;
  if (target.cgroup().empty() && target.container_id().empty() && target.pid() != 0) {
    pid = target.pid();
    FAULTLINE_TRY(ReadLiveProcess(*host.host, pid));
  }
  FAULTLINE_ASSIGN(const std::string cgroup, TargetCgroup(target, host));
  std::vector<CgroupFolder> placed;
  std::string folders;
  for (CgroupFolder& folder : TargetFolders(cgroup, pid, host)) {
    if (folder.controller == "freezer") continue;
    folders += folder.controller + "\t" + folder.path + "\n";
    placed.push_back(std::move(folder));
  }
  plan.state["folders"] = folders;
  plan.state["child"] = FaultTag(host.journal_folder, plan.spec.uid);
  plan.state["whom"] =
      pid != 0 ? fmt::format("the cgroups of pid {}", pid) : fmt::format("cgroup {}", cgroup);
  if (placed.empty()) return Fail(ErrorCode::kNotFound, "target: there is no cgroup {}", cgroup);
  return placed;
}

std::vector<CgroupFolder> WorkerFolders(const FaultPlan& plan) {
  std::vector<CgroupFolder> folders;
  const std::string text = plan.State("folders");
  for (const std::string_view row : Split(text, '\n')) {
    const size_t tab = row.find('\t');
    if (tab == std::string_view::npos) continue;
    folders.push_back({std::string(row.substr(0, tab)), std::string(row.substr(tab + 1))});
  }
  return folders;
}

Result<void> StartWorkers(const FaultPlan& plan, int64_t count, WorkerOrder order,
                          const FaultHost& host) {
  order.fault_uid = plan.spec.uid;
  order.home = host.journal_folder;
  order.lifetime_s = plan.spec.duration_ms / 1000 + kLifetimeMarginS;
  for (int64_t i = 0; i < count; ++i) {
    const auto worker =
        StartWorker(order, host, [&](uint32_t pid) { return PlaceWorker(pid, plan, host); });
    if (!worker) return std::unexpected(worker.error());
  }
  return {};
}

Result<void> RecoverWorkers(const FaultPlan& plan, const FaultHost& host) {
  FAULTLINE_TRY(EndWorkers(*host.host, plan.spec.uid));
  for (const CgroupFolder& folder : WorkerFolders(plan)) {
    if (folder.controller.empty()) FAULTLINE_TRY(RemoveCgroup(*host.host, OwnChild(plan, folder)));
  }
  return {};
}

std::vector<std::string> WorkerResidue(const FaultPlan& plan, const FaultHost& host) {
  std::vector<std::string> residue;
  for (const LiveProcess& worker : FindWorkers(*host.host, plan.spec.uid))
    residue.push_back(fmt::format("worker pid {}", worker.pid));
  for (const CgroupFolder& folder : WorkerFolders(plan)) {
    if (folder.controller.empty() && FolderInode(*host.host, OwnChild(plan, folder)) != 0)
      residue.push_back("cgroup " + OwnChild(plan, folder));
  }
  return residue;
}

std::vector<std::string> SweepWorkerCgroups(const FaultHost& host) {
  std::vector<std::string> removed;
  const std::string tag = HomeTag(host.journal_folder);
  std::vector<std::string> pending;
  if (!host.mounts.unified.empty()) pending.push_back(host.mounts.unified);
  for (size_t seen = 0; !pending.empty() && seen < kMaxFoldersSwept; ++seen) {
    const std::string folder = std::move(pending.back());
    pending.pop_back();
    for (std::string& child : CgroupChildren(*host.host, folder)) {
      const std::string_view name = std::string_view(child).substr(child.rfind('/') + 1);
      const bool ours = name.starts_with(tag);
      const bool in_force =
          std::any_of(host.others.begin(), host.others.end(),
                      [&](const FaultPlan& other) { return other.State("child") == name; });
      if (ours && !in_force && RemoveCgroup(*host.host, child))
        removed.push_back("cgroup " + child);
      if (!ours) pending.push_back(std::move(child));
    }
  }
  return removed;
}

}  // namespace faultline
