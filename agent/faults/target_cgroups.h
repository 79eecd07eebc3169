// The cgroups of a fault's target in every hierarchy, v1, v2 or both (hybrid). Paths are as seen
// from the host root.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "agent/faults/fault.h"
#include "common/result.h"

namespace faultline {

struct CgroupFolder {
  std::string controller;  // of v1; empty for the v2 hierarchy
  std::string path;        // folder of the cgroup, below the host root
};

// The cgroup path of a container or cgroup target: as given, else found by the container's id, else
// that of the process. "/" for the node. kNotFound, kInvalidArgument say why there is none.
Result<std::string> TargetCgroup(const v1::Subject& target, const FaultHost& host);
// Every hierarchy in which that cgroup exists, v1 first. `pid` != 0: the cgroups of that process
// instead, which may differ from hierarchy to hierarchy.
std::vector<CgroupFolder> TargetFolders(std::string_view cgroup, uint32_t pid,
                                        const FaultHost& host);
// The folder of `controller` among them: v1 if mounted, else v2; nullptr if neither.
const CgroupFolder* FolderOf(const std::vector<CgroupFolder>& folders, std::string_view controller);

// Processes in the cgroup and below it; kResourceExhausted beyond `max_pids`.
Result<std::vector<uint32_t>> ProcessesBelow(const HostView& host, const std::string& folder,
                                             size_t max_pids = 4096);
// The cgroups directly below, as paths.
std::vector<std::string> CgroupChildren(const HostView& host, const std::string& folder);
// 0 when it does not exist.
uint64_t FolderInode(const HostView& host, const std::string& folder);
// CPU time used by the cgroup: cpuacct.usage (v1) or cpu.stat (v2).
Result<int64_t> CgroupCpuNs(const HostView& host, const CgroupFolder& folder);
// How many CPUs' worth the cgroup may use: its cpuset and its quota.
double CgroupCpuLimit(const HostView& host, const std::vector<CgroupFolder>& folders);

// A cgroup of our own; both are satisfied when it is already so.
Result<void> MakeCgroup(const HostView& host, const std::string& folder);
Result<void> RemoveCgroup(const HostView& host, const std::string& folder);
// Writes to a file of /proc or /sys below the host root.
Result<void> WriteControl(const HostView& host, const std::string& path, std::string_view text);

}  // namespace faultline
