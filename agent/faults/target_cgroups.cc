#include "agent/faults/target_cgroups.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "common/text.h"

namespace faultline {
namespace {

constexpr int kMaxDepth = 16;
constexpr size_t kMaxFoldersSearched = 20'000;

std::string Join(const std::string& mount, std::string_view cgroup) {
  return cgroup == "/" ? mount : mount + std::string(cgroup);
}

Result<void> CheckCgroupPath(std::string_view path) {
  if (!path.starts_with('/') || path.find("/..") != std::string_view::npos ||
      path.find('\n') != std::string_view::npos) {
    return Fail(ErrorCode::kInvalidArgument,
                "target.cgroup: '{}' is not a path below the cgroup root", path);
  }
  return {};
}

bool IsFolder(const HostView& host, const std::string& path) {
  struct stat status{};
  return stat(host.fs.Path(path).c_str(), &status) == 0 && S_ISDIR(status.st_mode);
}

std::vector<std::string> SubFolders(const HostView& host, const std::string& folder) {
  std::vector<std::string> folders;
  struct stat status{};
  // The link count of a cgroup folder is 2 + its children: most folders need no listing.
  if (stat(host.fs.Path(folder).c_str(), &status) != 0 || status.st_nlink == 2) return folders;
  const auto names = host.fs.List(folder);
  if (!names) return folders;
  for (const std::string& name : *names) {
    if (IsFolder(host, folder + "/" + name)) folders.push_back(name);
  }
  return folders;
}

// Breadth first: the shallowest cgroup whose name contains the id is the container's.
Result<std::string> FindContainer(const HostView& host, const std::string& mount,
                                  const std::string& id) {
  std::vector<std::string> level = {""};
  size_t searched = 0;
  for (int depth = 0; depth < kMaxDepth && !level.empty(); ++depth) {
    std::vector<std::string> below;
    for (const std::string& path : level) {
      for (const std::string& name : SubFolders(host, mount + path)) {
        if (name.find(id) != std::string::npos) return path + "/" + name;
        below.push_back(path + "/" + name);
        if (++searched > kMaxFoldersSearched) {
          return Fail(ErrorCode::kResourceExhausted, "more than {} cgroups", kMaxFoldersSearched);
        }
      }
    }
    level = std::move(below);
  }
  return Fail(ErrorCode::kNotFound, "no cgroup of container {}", id);
}

const std::string& AnyMount(const CgroupMounts& mounts) {
  for (const auto& [controller, mount] : mounts.v1) {
    if (controller == "cpuacct" || controller == "memory") return mount;
  }
  return mounts.unified;
}

}  // namespace

std::vector<CgroupFolder> TargetFolders(std::string_view cgroup, uint32_t pid,
                                        const FaultHost& host) {
  std::vector<CgroupFolder> folders;
  const auto add = [&](const std::string& controller, const std::string& folder) {
    if (IsFolder(*host.host, folder)) folders.push_back({controller, folder});
  };
  if (pid == 0) {
    for (const auto& [controller, mount] : host.mounts.v1) add(controller, Join(mount, cgroup));
    if (!host.mounts.unified.empty()) add("", Join(host.mounts.unified, cgroup));
    return folders;
  }
  const auto text = host.host->fs.Read(fmt::format("/proc/{}/cgroup", pid));
  if (!text) return folders;
  std::string_view rest = *text;
  std::string_view line;
  while (NextLine(rest, line)) {  // id:controllers:path
    const size_t first = line.find(':');
    const size_t second = line.find(':', first + 1);
    if (first == std::string_view::npos || second == std::string_view::npos) continue;
    const std::string_view controllers = line.substr(first + 1, second - first - 1);
    const std::string_view path = line.substr(second + 1);
    if (controllers.empty() && !host.mounts.unified.empty())
      add("", Join(host.mounts.unified, path));
    for (const std::string_view controller : Split(controllers, ',')) {
      for (const auto& [name, mount] : host.mounts.v1) {
        if (name == controller) add(name, Join(mount, path));
      }
    }
  }
  return folders;
}

Result<std::string> TargetCgroup(const v1::Subject& target, const FaultHost& host) {
  if (!target.cgroup().empty()) {
    FAULTLINE_TRY(CheckCgroupPath(target.cgroup()));
    if (TargetFolders(target.cgroup(), 0, host).empty()) {
      return Fail(ErrorCode::kNotFound, "cgroup {} does not exist", target.cgroup());
    }
    return target.cgroup();
  }
  if (!target.container_id().empty()) {
    const std::string& id = target.container_id();
    if (id.size() < 8 || id.find('/') != std::string::npos) {
      return Fail(ErrorCode::kInvalidArgument, "target.container_id: '{}' is too short to name one",
                  id);
    }
    return FindContainer(*host.host, AnyMount(host.mounts), id);
  }
  if (!target.container().empty() || !target.pod().empty()) {
    return Fail(ErrorCode::kInvalidArgument,
                "target: container {} of pod {} has neither cgroup nor id", target.container(),
                target.pod());
  }
  return std::string("/");
}

const CgroupFolder* FolderOf(const std::vector<CgroupFolder>& folders,
                             std::string_view controller) {
  for (const CgroupFolder& folder : folders) {
    if (folder.controller == controller) return &folder;
  }
  for (const CgroupFolder& folder : folders) {
    if (folder.controller.empty()) return &folder;
  }
  return nullptr;
}

Result<std::vector<uint32_t>> ProcessesBelow(const HostView& host, const std::string& folder,
                                             size_t max_pids) {
  std::vector<uint32_t> pids;
  std::vector<std::string> pending = {folder};
  while (!pending.empty()) {
    const std::string current = std::move(pending.back());
    pending.pop_back();
    FAULTLINE_ASSIGN(const std::string text, host.fs.Read(current + "/cgroup.procs"));
    std::string_view rest = text;
    std::string_view line;
    while (NextLine(rest, line)) {
      if (const auto pid = ParseUint(Trim(line))) pids.push_back(static_cast<uint32_t>(*pid));
      if (pids.size() > max_pids) {
        return Fail(ErrorCode::kResourceExhausted, "{} holds more than {} processes", folder,
                    max_pids);
      }
    }
    for (const std::string& name : SubFolders(host, current))
      pending.push_back(current + "/" + name);
  }
  std::sort(pids.begin(), pids.end());
  pids.erase(std::unique(pids.begin(), pids.end()), pids.end());
  return pids;
}

std::vector<std::string> CgroupChildren(const HostView& host, const std::string& folder) {
  std::vector<std::string> children;
  for (const std::string& name : SubFolders(host, folder)) children.push_back(folder + "/" + name);
  return children;
}

uint64_t FolderInode(const HostView& host, const std::string& folder) {
  struct stat status{};
  return stat(host.fs.Path(folder).c_str(), &status) == 0 ? status.st_ino : 0;
}

Result<int64_t> CgroupCpuNs(const HostView& host, const CgroupFolder& folder) {
  if (!folder.controller.empty()) return host.fs.ReadInt(folder.path + "/cpuacct.usage");
  FAULTLINE_ASSIGN(const std::string text, host.fs.Read(folder.path + "/cpu.stat"));
  std::string_view rest = text;
  std::string_view line;
  while (NextLine(rest, line)) {
    if (NextWord(line) == "usage_usec") return ParseInt(Trim(line)).value_or(0) * 1000;
  }
  return Fail(ErrorCode::kUnsupported, "{}/cpu.stat has no usage_usec", folder.path);
}

namespace {

// "0-3,8" -> 5
double CountCpus(std::string_view list) {
  double count = 0;
  for (const std::string_view range : Split(Trim(list), ',')) {
    const auto ends = Split(range, '-');
    const auto first = ParseInt(ends.front());
    const auto last = ParseInt(ends.back());
    if (first && last && *last >= *first) count += static_cast<double>(*last - *first + 1);
  }
  return count;
}

double Quota(const HostView& host, const CgroupFolder& folder) {
  if (!folder.controller.empty()) {
    const int64_t quota = host.fs.ReadInt(folder.path + "/cpu.cfs_quota_us").value_or(-1);
    const int64_t period = host.fs.ReadInt(folder.path + "/cpu.cfs_period_us").value_or(0);
    return quota > 0 && period > 0 ? static_cast<double>(quota) / static_cast<double>(period) : 0;
  }
  const std::string text = host.fs.Read(folder.path + "/cpu.max").value_or("");
  std::string_view words = text;
  const auto quota = ParseDouble(NextWord(words));
  const auto period = ParseDouble(Trim(words));
  return quota && period && *period > 0 ? *quota / *period : 0;
}

}  // namespace

double CgroupCpuLimit(const HostView& host, const std::vector<CgroupFolder>& folders) {
  double limit = CountCpus(host.fs.ReadTrimmed("/sys/devices/system/cpu/online").value_or(""));
  if (const CgroupFolder* cpuset = FolderOf(folders, "cpuset")) {
    const char* name =
        cpuset->controller.empty() ? "/cpuset.cpus.effective" : "/cpuset.effective_cpus";
    const double cpus = CountCpus(host.fs.ReadTrimmed(cpuset->path + name).value_or(""));
    if (cpus > 0) limit = limit > 0 ? std::min(limit, cpus) : cpus;
  }
  if (const CgroupFolder* cpu = FolderOf(folders, "cpu")) {
    const double quota = Quota(host, *cpu);
    if (quota > 0) limit = limit > 0 ? std::min(limit, quota) : quota;
  }
  return limit;
}

Result<void> MakeCgroup(const HostView& host, const std::string& folder) {
  const std::string full = host.fs.Path(folder);
  if (mkdir(full.c_str(), 0755) != 0 && errno != EEXIST)
    return FailErrno(errno, "make cgroup {}", full);
  return {};
}

Result<void> RemoveCgroup(const HostView& host, const std::string& folder) {
  const std::string full = host.fs.Path(folder);
  if (rmdir(full.c_str()) != 0 && errno != ENOENT)
    return FailErrno(errno, "remove cgroup {}", full);
  return {};
}

Result<void> WriteControl(const HostView& host, const std::string& path, std::string_view text) {
  const std::string full = host.fs.Path(path);
  const int fd = open(full.c_str(), O_WRONLY | O_CLOEXEC);
  if (fd < 0) return FailErrno(errno, "open {}", full);
  const ssize_t n = write(fd, text.data(), text.size());
  const int error_number = errno;
  close(fd);
  if (n != static_cast<ssize_t>(text.size()))
    return FailErrno(error_number, "write '{}' to {}", text, full);
  return {};
}

}  // namespace faultline
