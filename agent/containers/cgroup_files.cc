#include "agent/containers/cgroup_files.h"

#include <fcntl.h>
#include <unistd.h>

#include "common/text.h"

namespace faultline {
namespace {

constexpr size_t kMaxFileBytes = size_t{256} << 10;

}  // namespace

Result<CgroupFiles> CgroupFiles::Of(const HostView& host, const ContainerIndex* index,
                                    std::string_view controller) {
  if (index == nullptr) {
    return Fail(ErrorCode::kUnsupported, "containers are off, or no cgroup file system is mounted");
  }
  const CgroupMounts& mounts = index->mounts();
  const std::string folder = controller == "unified" ? mounts.unified : mounts.Folder(controller, "");
  if (folder.empty()) {
    return Fail(ErrorCode::kUnsupported, "no cgroup hierarchy carries '{}'", controller);
  }
  return CgroupFiles(host.fs.Path(folder), mounts.IsV1(controller));
}

std::optional<std::string_view> CgroupFiles::Read(std::string_view cgroup_path, std::string_view file) {
  path_.assign(mount_point_).append(cgroup_path).append("/").append(file);
  const int fd = open(path_.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return std::nullopt;
  size_t size = 0;
  ssize_t n = 0;
  do {
    if (text_.size() < size + 4096) text_.resize(size + 8192);
    n = read(fd, text_.data() + size, text_.size() - size);
    if (n > 0) size += static_cast<size_t>(n);
  } while (n > 0 && size < kMaxFileBytes);
  close(fd);
  if (n < 0) return std::nullopt;
  return std::string_view(text_.data(), size);
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
