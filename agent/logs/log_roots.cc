// The order matters: O_PATH first (no side effect on any kind of file), then what it is and where
// it really lies
// (/proc/self/fd), and only then the same descriptor again for reading. Nothing between can be
// swapped, because the descriptor is the file. openat2 resolves absolute links below the host root
// when that is not "/"; without it (old kernel or seccomp) such links lead outside and are refused.
#include "agent/logs/log_roots.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <utility>

namespace faultline {
namespace {

int OpenPathInRoot(int root_fd, const std::string& path) {
  open_how how{};
  how.flags = O_PATH | O_CLOEXEC;
  how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
  return static_cast<int>(syscall(SYS_openat2, root_fd, path.c_str(), &how, sizeof how));
}

// Where the descriptor lies now; empty when it has been unlinked.
std::string RealPath(int fd) {
  char target[PATH_MAX];
  const ssize_t length =
      readlink(fmt::format("/proc/self/fd/{}", fd).c_str(), target, sizeof target);
  if (length <= 0 || length == static_cast<ssize_t>(sizeof target)) return {};
  return {target, static_cast<size_t>(length)};
}

}  // namespace

LogRoots::LogRoots(const FsRoot& fs, std::vector<std::string> folders)
    : fs_(fs), folders_(std::move(folders)) {
  root_ = FileDescriptor(open(fs_.Path("/").c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  Refresh();
}

void LogRoots::Refresh() {
  real_folders_.clear();
  for (const std::string& folder : folders_) {
    int fd = root_.valid() ? OpenPathInRoot(root_.get(), folder) : -1;
    if (fd < 0) fd = open(fs_.Path(folder).c_str(), O_PATH | O_CLOEXEC);
    const FileDescriptor opened(fd);
    if (!opened.valid()) continue;
    std::string real = RealPath(opened.get());
    // A link to "/" must not open the whole host.
    if (!real.empty() && real != "/") real_folders_.push_back(real + "/");
  }
}

Result<OpenedLog> LogRoots::Look(const std::string& path) const {
  int fd = root_.valid() ? OpenPathInRoot(root_.get(), path) : -1;
  if (fd < 0 && (errno == ENOSYS || errno == EPERM || !root_.valid())) {
    fd = open(fs_.Path(path).c_str(), O_PATH | O_CLOEXEC);
  }
  if (fd < 0) return FailErrno(errno, "open {}", fs_.Path(path));
  OpenedLog opened{.fd = FileDescriptor(fd)};
  struct stat status{};
  if (fstat(fd, &status) != 0) return FailErrno(errno, "stat {}", fs_.Path(path));
  if (!S_ISREG(status.st_mode))
    return Fail(ErrorCode::kUnsupported, "{} is not a regular file", fs_.Path(path));
  const std::string real = RealPath(fd);
  const bool inside = std::ranges::any_of(
      real_folders_, [&](const std::string& folder) { return real.starts_with(folder); });
  if (!inside) {
    return Fail(ErrorCode::kPermissionDenied, "{} leads to {}, outside the configured log folders",
                fs_.Path(path), real);
  }
  opened.key = {.device = status.st_dev, .inode = status.st_ino};
  opened.modified_ns = int64_t{status.st_mtim.tv_sec} * kNsPerSecond + status.st_mtim.tv_nsec;
  opened.size = static_cast<uint64_t>(status.st_size);
  return opened;
}

Result<FileKey> LogRoots::Resolve(const std::string& path) const {
  FAULTLINE_ASSIGN(const OpenedLog found, Look(path));
  return found.key;
}

Result<OpenedLog> LogRoots::Open(const std::string& path) const {
  FAULTLINE_ASSIGN(OpenedLog found, Look(path));
  const std::string self = fmt::format("/proc/self/fd/{}", found.fd.get());
  const int fd = open(self.c_str(), O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
  if (fd < 0) return FailErrno(errno, "open {} for reading", fs_.Path(path));
  found.fd = FileDescriptor(fd);
  return found;
}

}  // namespace faultline
