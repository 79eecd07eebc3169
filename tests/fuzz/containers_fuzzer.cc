// What names containers from bytes that others write: mount tables, cgroup paths, flat-keyed files.
// Nothing may crash, and what is named must be a part of the path.
#include <cstdint>
#include <string_view>

#include "agent/containers/cgroup_files.h"
#include "agent/containers/cgroup_mounts.h"
#include "agent/containers/path_identity.h"
#include "common/assert.h"
#include "common/text.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(bytes), size);
  const faultline::CgroupMounts mounts = faultline::ParseCgroupMounts(text, "/host");
  FAULTLINE_ASSERT(mounts.unified.empty() || mounts.unified.starts_with('/'),
                   "a mount point is absolute");
  (void)mounts.Folder("memory", "/a");
  std::string_view rest = text, line;
  while (faultline::NextLine(rest, line)) {
    const faultline::PathIdentity identity = faultline::IdentityOfPath(line);
    FAULTLINE_ASSERT(line.find(identity.container_id) != line.npos, "the id is in the path");
    FAULTLINE_ASSERT(!identity.is_pod || identity.container_id.empty(), "a pod is no container");
    FAULTLINE_ASSERT(identity.container_id.empty() == identity.runtime.empty(),
                     "a container has a runtime");
  }
  (void)faultline::CgroupFiles::Field(text, "total_rss");
  return 0;
}
