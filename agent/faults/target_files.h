// Files as a fault's target sees them: paths below its root folder (a container's own), never out
// of it by a symbolic link. What a fault moved aside carries its tag in its name.
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "agent/faults/fault.h"
#include "common/file_descriptor.h"
#include "common/result.h"

namespace faultline {

// The folder of a path, open, and the last part of the path.
struct FilePlace {
  FileDescriptor folder;
  std::string name;
};

// In Plan: remembers whose files are meant (plan.state: mount namespace, host root) and names them.
Result<std::string> RememberFileTarget(const v1::Subject& target, const FaultHost& host,
                                       FaultPlan& plan);
// The root folder of the planned target; kNotFound when nobody lives in its mount namespace.
Result<FileDescriptor> OpenTargetRoot(const FaultPlan& plan, const FaultHost& host);
// kInvalidArgument names the parameter: a path that is not absolute, or that no fault may touch.
Result<void> CheckFaultPath(const std::string& parameter, const std::string& path,
                            const FaultHost& host);
Result<FilePlace> OpenPlace(const FileDescriptor& root, const std::string& path);
Result<FileDescriptor> OpenBelow(const FileDescriptor& root, const std::string& path, int flags,
                                 unsigned mode = 0);

// nullopt: there is none.
std::optional<struct stat> StatPlace(const FilePlace& place);
std::optional<struct stat> StatPlace(const FilePlace& place, const std::string& name);
Result<std::string> ReadWhole(const FilePlace& place, const std::string& name, size_t max_bytes);
std::string Checksum(std::string_view text);

}  // namespace faultline
