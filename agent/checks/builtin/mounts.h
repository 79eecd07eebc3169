// The mounts of a host, as its first process sees them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/host_view.h"

namespace faultline {

struct Mount {
  std::string source;
  std::string point;
  std::string type;
  std::string options;
  bool HasOption(std::string_view option) const;
  // proc, sysfs, cgroup …: nothing stands behind it that could fail.
  bool IsPseudo() const;
};

std::vector<Mount> ReadMounts(const HostView& host);
// On disks of this host, each once, without those whose mount point matches `exclude` (globs).
std::vector<Mount> LocalMounts(const HostView& host, std::string_view exclude);

}  // namespace faultline
