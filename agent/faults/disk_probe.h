// How fast a disk is for a cgroup: a short-lived process of ours in it reads or writes past the
// page cache.
#pragma once

#include <cstddef>
#include <string>

#include "common/file_descriptor.h"
#include "common/host_view.h"
#include "common/result.h"

namespace faultline {

struct DiskProbe {
  bool writes = true;
  size_t block_bytes = 4096;  // a multiple of 4096, at most 1 MiB
};

// Blocks per second, over about a second: in a file without a name in `folder`, of a process in the
// cgroup `cgroup_folder`. kUnsupported where the file system has no such files, or always uses the
// page cache.
Result<double> ProbeDisk(const DiskProbe& probe, const FileDescriptor& folder,
                         const std::string& cgroup_folder, const HostView& host);

}  // namespace faultline
