// Where the cgroup hierarchies of a host are mounted.
#pragma once

#include <string_view>

#include "agent/containers/container_index.h"
#include "common/host_view.h"

namespace faultline {

CgroupMounts ParseCgroupMounts(std::string_view mountinfo, std::string_view host_root);
// kNotFound: no hierarchy is mounted.
Result<CgroupMounts> ReadCgroupMounts(const FsRoot& fs);

}  // namespace faultline
