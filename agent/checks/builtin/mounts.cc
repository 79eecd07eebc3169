#include "agent/checks/builtin/mounts.h"

#include <algorithm>
#include <set>

#include "agent/checks/builtin/judged.h"
#include "common/text.h"

namespace faultline {
namespace {

// \040 and its like.
std::string Unescape(std::string_view text) {
  std::string plain;
  for (size_t i = 0; i < text.size(); ++i) {
    const auto code =
        text[i] == '\\' && i + 3 < text.size() ? ParseUint(text.substr(i + 1, 3), 8) : std::nullopt;
    if (code && *code < 256) {
      plain += static_cast<char>(*code);
      i += 3;
    } else {
      plain += text[i];
    }
  }
  return plain;
}

}  // namespace

bool Mount::HasOption(std::string_view option) const {
  return std::ranges::any_of(Split(options, ','),
                             [&](std::string_view one) { return one == option; });
}

bool Mount::IsPseudo() const {
  static const std::set<std::string_view> kPseudo = {
      "autofs",    "binfmt_misc", "bpf",      "cgroup",  "cgroup2",   "configfs",   "debugfs",
      "devpts",    "devtmpfs",    "efivarfs", "fusectl", "hugetlbfs", "mqueue",     "nsfs",
      "overlay",   "proc",        "procfs",   "pstore",  "ramfs",     "rpc_pipefs", "securityfs",
      "selinuxfs", "sysfs",       "tmpfs",    "tracefs"};
  return kPseudo.contains(type);
}

std::vector<Mount> ReadMounts(const HostView& host) {
  auto text = host.fs.Read("/proc/1/mounts");
  if (!text) text = host.fs.Read("/proc/mounts");
  std::vector<Mount> mounts;
  if (!text) return mounts;
  std::string_view rest = *text, line;
  while (NextLine(rest, line) && mounts.size() < 10'000) {
    Mount mount;
    mount.source = Unescape(NextWord(line));
    mount.point = Unescape(NextWord(line));
    mount.type = NextWord(line);
    mount.options = NextWord(line);
    mounts.push_back(std::move(mount));
  }
  return mounts;
}

std::vector<Mount> LocalMounts(const HostView& host, std::string_view exclude) {
  std::vector<Mount> local;
  std::set<std::string> sources;
  for (Mount& mount : ReadMounts(host)) {
    const bool on_disk =
        mount.source.starts_with("/dev/") || mount.type == "zfs" || mount.type == "btrfs";
    if (!on_disk || NameIn("fuse*", mount.type) || NameIn(exclude, mount.point)) continue;
    // What a pod sees of a disk is that disk again.
    if (mount.point.starts_with("/var/lib/kubelet/pods/") || !sources.insert(mount.source).second)
      continue;
    local.push_back(std::move(mount));
  }
  return local;
}

}  // namespace faultline
