#include "common/host_view.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>

#include "common/text.h"

namespace faultline {

FsRoot::FsRoot(std::string root) : root_(std::move(root)) {
  while (!root_.empty() && root_.back() == '/') root_.pop_back();
}

std::string FsRoot::Path(std::string_view path) const {
  std::string result = root_;
  if (path.empty() || path.front() != '/') result += '/';
  result += path;
  return result;
}

Result<std::string> FsRoot::Read(std::string_view path, size_t max_bytes) const {
  const std::string full = Path(path);
  const int fd = open(full.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return FailErrno(errno, "open {}", full);
  std::string text;
  char buffer[16384];
  while (true) {
    const ssize_t n = read(fd, buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      const int error_number = errno;
      close(fd);
      return FailErrno(error_number, "read {}", full);
    }
    if (n == 0) break;
    if (text.size() + static_cast<size_t>(n) > max_bytes) {
      close(fd);
      return Fail(ErrorCode::kResourceExhausted, "{} is larger than {} bytes", full, max_bytes);
    }
    text.append(buffer, static_cast<size_t>(n));
  }
  close(fd);
  return text;
}

Result<std::string> FsRoot::ReadTrimmed(std::string_view path) const {
  FAULTLINE_ASSIGN(std::string text, Read(path));
  return std::string(Trim(text));
}

Result<int64_t> FsRoot::ReadInt(std::string_view path) const {
  FAULTLINE_ASSIGN(const std::string text, Read(path));
  const auto value = ParseInt(Trim(text));
  if (!value) return Fail(ErrorCode::kCorruption, "{}: no number", Path(path));
  return *value;
}

Result<std::vector<std::string>> FsRoot::List(std::string_view path) const {
  const std::string full = Path(path);
  std::unique_ptr<DIR, int (*)(DIR*)> folder(opendir(full.c_str()), closedir);
  if (!folder) return FailErrno(errno, "open folder {}", full);
  std::vector<std::string> names;
  while (const dirent* entry = readdir(folder.get())) {
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

bool FsRoot::Exists(std::string_view path) const {
  struct stat status {};
  return stat(Path(path).c_str(), &status) == 0;
}

HostView HostView::Real(std::string root, const Clock* clock) {
  HostView view;
  view.fs = FsRoot(std::move(root));
  view.clock = clock;
  view.page_size = sysconf(_SC_PAGESIZE);
  view.ticks_per_second = sysconf(_SC_CLK_TCK);
  view.boot_id = view.fs.ReadTrimmed("/proc/sys/kernel/random/boot_id").value_or("");
  return view;
}

PolledFile::PolledFile(PolledFile&& other) noexcept
    : path_(std::move(other.path_)), fd_(std::exchange(other.fd_, -1)) {}

PolledFile& PolledFile::operator=(PolledFile&& other) noexcept {
  if (this != &other) {
    if (fd_ >= 0) close(fd_);
    path_ = std::move(other.path_);
    fd_ = std::exchange(other.fd_, -1);
  }
  return *this;
}

PolledFile::~PolledFile() {
  if (fd_ >= 0) close(fd_);
}

Result<std::string_view> PolledFile::Read() {
  // One growing buffer per thread: a pass over all collectors touches the same warm pages.
  thread_local std::string buffer(size_t{64} << 10, '\0');
  constexpr size_t kMaxBytes = size_t{16} << 20;
  for (int attempt = 0; attempt < 2; ++attempt) {
    if (fd_ < 0) fd_ = open(path_.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd_ < 0) return FailErrno(errno, "open {}", path_);
    size_t size = 0;
    int error_number = 0;
    while (true) {
      if (size == buffer.size()) {
        if (size >= kMaxBytes) {
          return Fail(ErrorCode::kResourceExhausted, "{} is larger than {} bytes", path_, kMaxBytes);
        }
        buffer.resize(buffer.size() * 2);
      }
      const ssize_t n =
          pread(fd_, buffer.data() + size, buffer.size() - size, static_cast<off_t>(size));
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) error_number = errno;
      if (n <= 0) break;
      size += static_cast<size_t>(n);
    }
    if (error_number == 0) return std::string_view(buffer.data(), size);
    close(fd_);
    fd_ = -1;
    // The file's object went away (a removed cgroup or device): try once with a new descriptor.
    if (error_number != ENODEV && error_number != ESRCH && error_number != ENOENT) {
      return FailErrno(error_number, "read {}", path_);
    }
  }
  return Fail(ErrorCode::kNotFound, "read {}: gone", path_);
}

}  // namespace faultline
