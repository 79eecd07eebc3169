#include "agent/containers/cgroup_files.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <utility>

#include "common/text.h"

namespace faultline {
namespace {

constexpr size_t kMaxFileBytes = size_t{256} << 10;
constexpr uint64_t kKeepPasses = 16;

std::atomic<int> open_files = 0;  // of all leaves

int OpenFilesAllowed() {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  return static_cast<int>(std::min<rlim_t>(limit.rlim_cur / 4, CgroupFiles::kMaxOpenFiles));
}

}  // namespace

Result<CgroupFiles> CgroupFiles::Of(const HostView& host, const ContainerIndex* index,
                                    std::string_view controller) {
  if (index == nullptr) {
    return Fail(ErrorCode::kUnsupported, "containers are off, or no cgroup file system is mounted");
  }
  const CgroupMounts& mounts = index->mounts();
  const std::string folder =
      controller == "unified" ? mounts.unified : mounts.Folder(controller, "");
  if (folder.empty()) {
    return Fail(ErrorCode::kUnsupported, "no cgroup hierarchy carries '{}'", controller);
  }
  return CgroupFiles(host.fs.Path(folder), mounts.IsV1(controller));
}

CgroupFiles::OpenFile::OpenFile(OpenFile&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), counted_(std::exchange(other.counted_, false)) {}

CgroupFiles::OpenFile& CgroupFiles::OpenFile::operator=(OpenFile&& other) noexcept {
  std::swap(fd_, other.fd_);
  std::swap(counted_, other.counted_);
  return *this;
}

CgroupFiles::OpenFile::~OpenFile() {
  if (fd_ >= 0) close(fd_);
  if (counted_) --open_files;
}

void CgroupFiles::BeginPass() {
  if (++pass_ % kKeepPasses != 0) return;
  std::erase_if(folders_,
                [&](const auto& entry) { return entry.second.used_pass + kKeepPasses < pass_; });
}

int CgroupFiles::Open(std::string_view cgroup_path, std::string_view file) {
  path_.assign(mount_point_).append(cgroup_path).append("/").append(file);
  return open(path_.c_str(), O_RDONLY | O_CLOEXEC);
}

std::optional<std::string_view> CgroupFiles::ReadFrom(int fd) {
  // The kernel gives whole records, at least half a page of them if there are more.
  constexpr ssize_t kMoreMayFollow = 2048;
  size_t size = 0;
  ssize_t n = 0;
  do {
    if (text_.size() < size + 4096) text_.resize(size + 8192);
    n = pread(fd, text_.data() + size, text_.size() - size, static_cast<off_t>(size));
    if (n > 0) size += static_cast<size_t>(n);
  } while (n >= kMoreMayFollow && size < kMaxFileBytes);
  if (n < 0) return std::nullopt;
  return std::string_view(text_.data(), size);
}

std::optional<std::string_view> CgroupFiles::Read(std::string_view cgroup_path,
                                                  std::string_view file) {
  path_.assign(cgroup_path);
  Folder& folder = folders_[path_];
  folder.used_pass = pass_;
  const auto kept = std::find_if(folder.files.begin(), folder.files.end(),
                                 [&](const auto& entry) { return entry.first == file; });
  if (kept != folder.files.end()) {
    if (const auto text = ReadFrom(kept->second.fd())) return text;
    folder.files.erase(kept);  // its cgroup is gone; another one may live at the path
  }
  const int fd = Open(cgroup_path, file);
  if (fd < 0) return std::nullopt;
  static const int allowed = OpenFilesAllowed();
  const bool keep = open_files < allowed;
  if (keep) ++open_files;
  OpenFile opened(fd, keep);
  const auto text = ReadFrom(fd);
  if (keep && text) folder.files.emplace_back(file, std::move(opened));
  return text;
}

std::optional<uint64_t> CgroupFiles::ReadUint(std::string_view cgroup_path, std::string_view file) {
  const auto text = Read(cgroup_path, file);
  return text ? ParseUint(Trim(*text)) : std::nullopt;
}

std::optional<uint64_t> CgroupFiles::Field(std::string_view text, std::string_view key) {
  std::string_view line;
  while (NextLine(text, line)) {
    if (line.size() > key.size() && line.starts_with(key) && line[key.size()] == ' ') {
      return ParseUint(Trim(line.substr(key.size() + 1)));
    }
  }
  return std::nullopt;
}

}  // namespace faultline
