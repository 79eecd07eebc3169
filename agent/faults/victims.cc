#include "agent/faults/victims.h"

#include <algorithm>

#include "agent/faults/protected_processes.h"
#include "common/text.h"

namespace faultline {
namespace {

constexpr size_t kMaxVictims = 256;

Result<std::vector<uint32_t>> PidsOf(const v1::Subject& target, const FaultHost& host) {
  std::vector<uint32_t> pids;
  const bool by_cgroup = !target.cgroup().empty() || !target.container_id().empty();
  if (!by_cgroup && target.pid() != 0) return std::vector<uint32_t>{target.pid()};
  if (!by_cgroup && !target.comm().empty()) {
    for (const uint32_t pid : ListProcesses(*host.host)) {
      const auto stat = ReadLiveProcess(*host.host, pid);
      if (stat && stat->comm == std::string_view(target.comm()).substr(0, 15)) pids.push_back(pid);
    }
    return pids;
  }
  FAULTLINE_ASSIGN(const std::string cgroup, TargetCgroup(target, host));
  if (cgroup == "/")
    return Fail(ErrorCode::kPermissionDenied,
                "target: not the whole node: name a container or processes");
  for (const CgroupFolder& folder : TargetFolders(cgroup, 0, host)) {
    FAULTLINE_ASSIGN(const auto found, ProcessesBelow(*host.host, folder.path));
    pids.insert(pids.end(), found.begin(), found.end());
  }
  std::sort(pids.begin(), pids.end());
  pids.erase(std::unique(pids.begin(), pids.end()), pids.end());
  return pids;
}

}  // namespace

Result<std::vector<LiveProcess>> TargetProcesses(const v1::Subject& target, const FaultHost& host) {
  FAULTLINE_ASSIGN(const std::vector<uint32_t> pids, PidsOf(target, host));
  std::vector<LiveProcess> processes;
  for (const uint32_t pid : pids) {
    const auto stat = ReadLiveProcess(*host.host, pid);
    if (!stat || stat->state == 'Z' || stat->state == 'X') continue;
    if (const std::string why = WhyProtected(*stat, host); !why.empty())
      return Fail(ErrorCode::kPermissionDenied, "target: {}", why);
    processes.push_back(*stat);
  }
  if (processes.empty()) return Fail(ErrorCode::kNotFound, "target: no process is there");
  if (processes.size() > kMaxVictims) {
    return Fail(ErrorCode::kResourceExhausted, "target: {} processes, limit {}", processes.size(),
                kMaxVictims);
  }
  return processes;
}

void NameVictims(const std::vector<LiveProcess>& processes, const FaultHost& host,
                 FaultPlan& plan) {
  std::string identities;
  for (const LiveProcess& process : processes) {
    identities += ProcessIdentity::Of(*host.host, process).Text() + "\n";
    plan.victims.push_back(fmt::format("pid {} ({})", process.pid, process.comm));
  }
  plan.state["processes"] = identities;
  if (!plan.spec.target.cgroup().empty())
    plan.victims.insert(plan.victims.begin(), "cgroup " + plan.spec.target.cgroup());
}

std::vector<ProcessIdentity> NamedVictims(const FaultPlan& plan) {
  std::vector<ProcessIdentity> victims;
  const std::string all = plan.State("processes");
  for (const std::string_view text : Split(all, '\n')) {
    if (auto identity = ProcessIdentity::Parse(text)) victims.push_back(*std::move(identity));
  }
  return victims;
}

Result<CgroupFolder> TargetFolder(const v1::Subject& target, std::string_view controller,
                                  const FaultHost& host, FaultPlan& plan) {
  const bool by_cgroup = !target.cgroup().empty() || !target.container_id().empty();
  const uint32_t pid = by_cgroup ? 0 : target.pid();
  FAULTLINE_ASSIGN(const std::string cgroup, TargetCgroup(target, host));
  if (cgroup == "/" || cgroup.empty())
    return Fail(ErrorCode::kPermissionDenied,
                "target: not the whole node: name a container or a cgroup");
  const std::vector<CgroupFolder> folders = TargetFolders(cgroup, pid, host);
  const CgroupFolder* folder = FolderOf(folders, controller);
  if (folder == nullptr)
    return Fail(ErrorCode::kUnsupported, "unsupported: no hierarchy has {} for {}", controller,
                cgroup);
  plan.victims.push_back("cgroup " + cgroup);
  return *folder;
}

Result<v1::Subject> PodOf(const v1::Subject& target, const FaultHost& host) {
  FAULTLINE_ASSIGN(const std::string cgroup, TargetCgroup(target, host));
  v1::Subject pod = target;
  pod.clear_container_id();
  pod.set_cgroup(cgroup);
  // …/pod<uid>/<container>, or kubepods-…-pod<uid>.slice/<container>.scope
  const size_t slash = cgroup.rfind('/');
  const std::string parent = cgroup.substr(0, slash);
  const std::string_view name = std::string_view(parent).substr(parent.rfind('/') + 1);
  const bool in_pod =
      slash > 0 && (name.starts_with("pod") || name.find("-pod") != std::string_view::npos);
  if (in_pod && !target.pod().empty()) pod.set_cgroup(parent);
  return pod;
}

}  // namespace faultline
