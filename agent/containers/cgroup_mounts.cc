// /proc/<pid>/mountinfo -> where each hierarchy is mounted. A line: id parent major:minor root
// mount_point options [optional fields] - type source super_options; the super options of a v1
// mount name its controllers.
#include "agent/containers/cgroup_mounts.h"

#include <sys/stat.h>

#include <algorithm>

#include "common/text.h"

namespace faultline {
namespace {

// \040 and the like, as mountinfo writes blanks in paths.
std::string Unescape(std::string_view text) {
  std::string result;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 3 < text.size()) {
      if (const auto code = ParseUint(text.substr(i + 1, 3), 8)) {
        result += static_cast<char>(*code);
        i += 3;
        continue;
      }
    }
    result += text[i];
  }
  return result;
}

std::string_view Canonical(std::string_view controller) {
  return controller == "io" ? "blkio" : controller;
}

void AddV1(std::string_view super_options, const std::string& mount_point, CgroupMounts& mounts) {
  for (const std::string_view option : Split(super_options, ',')) {
    static constexpr std::string_view kFlags[] = {
        "rw", "ro", "xattr", "noprefix", "clone_children", "none"};
    if (option.empty() || option.starts_with("release_agent=")) continue;
    if (std::find(std::begin(kFlags), std::end(kFlags), option) != std::end(kFlags)) continue;
    const bool known = std::any_of(mounts.v1.begin(), mounts.v1.end(),
                                   [&](const auto& entry) { return entry.first == option; });
    if (!known) mounts.v1.emplace_back(option, mount_point);
  }
}

}  // namespace

CgroupMounts ParseCgroupMounts(std::string_view mountinfo, std::string_view host_root) {
  CgroupMounts mounts;
  std::string_view line;
  while (NextLine(mountinfo, line)) {
    const size_t dash = line.find(" - ");
    if (dash == std::string_view::npos) continue;
    std::string_view tail = line.substr(dash + 3);
    const std::string_view type = NextWord(tail);
    if (type != "cgroup" && type != "cgroup2") continue;
    NextWord(tail);  // source
    const std::string_view super_options = NextWord(tail);
    for (int skipped = 0; skipped < 4; ++skipped) NextWord(line);
    std::string mount_point = Unescape(NextWord(line));
    // Seen from a container that has the host under /host, the mount point carries that prefix
    // itself.
    if (host_root.size() > 1 && mount_point.starts_with(host_root))
      mount_point.erase(0, host_root.size());
    if (!mount_point.starts_with('/')) continue;
    if (type == "cgroup") {
      AddV1(super_options, mount_point, mounts);
    } else if (mounts.unified.empty()) {
      mounts.unified = mount_point;
    }
  }
  return mounts;
}

Result<CgroupMounts> ReadCgroupMounts(const FsRoot& fs) {
  // Below another root, the mounts of init are the host's, and ours are the container's.
  const char* const paths[] = {"/proc/1/mountinfo", "/proc/self/mountinfo"};
  Result<CgroupMounts> mounts =
      Fail(ErrorCode::kNotFound, "no cgroup file system in {}", fs.Path(paths[1]));
  for (const char* path : paths) {
    if (path == paths[0] && fs.root().empty()) continue;
    const auto text = fs.Read(path);
    if (!text) continue;
    CgroupMounts found = ParseCgroupMounts(*text, fs.root());
    if (found.unified.empty() && found.v1.empty()) continue;
    return found;
  }
  return mounts;
}

bool CgroupMounts::IsV1(std::string_view controller) const {
  return std::any_of(v1.begin(), v1.end(),
                     [&](const auto& entry) { return entry.first == Canonical(controller); });
}

std::string CgroupMounts::Folder(std::string_view controller, std::string_view cgroup_path) const {
  if (cgroup_path == "/") cgroup_path = "";
  for (const auto& [name, mount_point] : v1) {
    if (name == Canonical(controller)) return mount_point + std::string(cgroup_path);
  }
  return unified.empty() ? "" : unified + std::string(cgroup_path);
}

}  // namespace faultline
