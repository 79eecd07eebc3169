#include "agent/faults/target_files.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <xxhash.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>

#include "agent/faults/network_target.h"
#include "agent/faults/process_identity.h"
#include "common/text.h"

namespace faultline {
namespace {

constexpr std::string_view kNever[] = {"/proc", "/sys", "/dev", "/boot"};

uint64_t MountNamespace(const HostView& host, uint32_t pid) {
  struct stat status{};
  const std::string path = host.fs.Path(fmt::format("/proc/{}/ns/mnt", pid));
  return stat(path.c_str(), &status) == 0 ? status.st_ino : 0;
}

bool IsBelow(std::string_view path, std::string_view folder) {
  return path == folder || (path.starts_with(folder) && path[folder.size()] == '/');
}

}  // namespace

Result<std::string> RememberFileTarget(const v1::Subject& target, const FaultHost& host,
                                       FaultPlan& plan) {
  FAULTLINE_ASSIGN(const std::vector<uint32_t> pids, TargetPids(target, host));
  const uint64_t node = MountNamespace(*host.host, 1);
  const uint64_t own = pids.empty() ? node : MountNamespace(*host.host, pids.front());
  if (own == 0) return Fail(ErrorCode::kNotFound, "the target's processes have ended");
  plan.state["mount_namespace"] = own == node ? "" : std::to_string(own);
  plan.state["pid"] = own == node ? "" : std::to_string(pids.front());
  if (pids.empty()) return std::string("the node");
  if (!target.cgroup().empty()) return "cgroup " + target.cgroup();
  if (!target.container_id().empty()) return "container " + target.container_id();
  return fmt::format("pid {}", pids.front());
}

Result<FileDescriptor> OpenTargetRoot(const FaultPlan& plan, const FaultHost& host) {
  const auto wanted = ParseUint(plan.State("mount_namespace"));
  std::string path = host.host->fs.Path("/");
  if (wanted) {
    const auto first = ParseUint(plan.State("pid"));
    std::vector<uint32_t> pids = {static_cast<uint32_t>(first.value_or(0))};
    const auto all = ListProcesses(*host.host);
    pids.insert(pids.end(), all.begin(), all.end());
    const auto at = std::find_if(pids.begin(), pids.end(), [&](uint32_t pid) {
      return MountNamespace(*host.host, pid) == *wanted;
    });
    if (at == pids.end())
      return Fail(ErrorCode::kNotFound, "the target's mount namespace {} is gone", *wanted);
    path = host.host->fs.Path(fmt::format("/proc/{}/root", *at));
  }
  FileDescriptor root(open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!root) return FailErrno(errno, "open {}", path);
  return root;
}

Result<void> CheckFaultPath(const std::string& parameter, const std::string& path,
                            const FaultHost& host) {
  if (!path.starts_with('/') || path.size() < 2 || path.size() > 4000 ||
      (path + "/").find("/../") != std::string::npos) {
    return Fail(ErrorCode::kInvalidArgument, "parameters.{}: '{}' is no absolute path", parameter,
                path);
  }
  for (const std::string_view never : kNever) {
    if (IsBelow(path, never))
      return Fail(ErrorCode::kPermissionDenied, "parameters.{}: {} is protected", parameter, never);
  }
  const std::string journal =
      std::filesystem::path(host.journal_folder).lexically_normal().string();
  // A folder above it may be filled, but not moved away.
  const bool moves = parameter != "path";
  if (!journal.empty() && (IsBelow(path, journal) || (moves && IsBelow(journal, path))))
    return Fail(ErrorCode::kPermissionDenied, "parameters.{}: the agent's own files are protected",
                parameter);
  return {};
}

Result<FileDescriptor> OpenBelow(const FileDescriptor& root, const std::string& path, int flags,
                                 unsigned mode) {
  open_how how{};
  how.flags = static_cast<uint64_t>(static_cast<unsigned>(flags | O_CLOEXEC));
  how.mode = (flags & O_CREAT) != 0 ? mode : 0;
  how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
  const long fd = syscall(SYS_openat2, root.get(), path.c_str(), &how, sizeof how);
  if (fd < 0) return FailErrno(errno, "open {}", path);
  return FileDescriptor(static_cast<int>(fd));
}

Result<FilePlace> OpenPlace(const FileDescriptor& root, const std::string& path) {
  std::string trimmed = path;
  while (trimmed.size() > 1 && trimmed.ends_with('/')) trimmed.pop_back();
  const size_t slash = trimmed.rfind('/');
  FilePlace place;
  place.name = trimmed.substr(slash + 1);
  FAULTLINE_ASSIGN(place.folder,
                   OpenBelow(root, trimmed.substr(0, slash) + "/", O_RDONLY | O_DIRECTORY));
  return place;
}

std::optional<struct stat> StatPlace(const FilePlace& place) {
  return StatPlace(place, place.name);
}

std::optional<struct stat> StatPlace(const FilePlace& place, const std::string& name) {
  struct stat status{};
  if (fstatat(place.folder.get(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0)
    return std::nullopt;
  return status;
}

Result<std::string> ReadWhole(const FilePlace& place, const std::string& name, size_t max_bytes) {
  const FileDescriptor file(
      openat(place.folder.get(), name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (!file) return FailErrno(errno, "open {}", name);
  std::string text;
  char buffer[65536];
  ssize_t n = 0;
  while ((n = read(file.get(), buffer, sizeof buffer)) > 0) {
    text.append(buffer, static_cast<size_t>(n));
    if (text.size() > max_bytes)
      return Fail(ErrorCode::kResourceExhausted, "{} is longer than {} bytes", name, max_bytes);
  }
  if (n < 0) return FailErrno(errno, "read {}", name);
  return text;
}

std::string Checksum(std::string_view text) {
  const XXH128_hash_t hash = XXH3_128bits(text.data(), text.size());
  return fmt::format("{:016x}{:016x}", hash.high64, hash.low64);
}

}  // namespace faultline
