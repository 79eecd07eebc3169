// Opens log files, and nothing else: a path is resolved with symbolic links, and what it leads to
// must be a regular file below one of the configured folders. So a link to /etc/shadow, a FIFO or a
// device in a log folder is refused before a byte of it is read or a driver's open is run.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/file_descriptor.h"
#include "common/host_view.h"
#include "common/result.h"

namespace faultline {

// What tells one file from another while it exists.
struct FileKey {
  uint64_t device = 0;
  uint64_t inode = 0;
  auto operator<=>(const FileKey&) const = default;
};

struct OpenedLog {
  FileDescriptor fd;
  FileKey key;
  uint64_t size = 0;
  int64_t modified_ns = 0;
};

class LogRoots {
 public:
  // `folders` as seen from the root; those that do not exist (yet) are looked up again at Refresh.
  LogRoots(const FsRoot& fs, std::vector<std::string> folders);

  // Resolves the folders again (they may appear later, or be links themselves).
  void Refresh();
  // kNotFound: gone. kPermissionDenied: outside the folders, or not readable. kUnsupported: not a
  // regular file.
  Result<OpenedLog> Open(const std::string& path) const;
  // As Open, without opening for reading: for paths that are known already.
  Result<FileKey> Resolve(const std::string& path) const;

 private:
  Result<OpenedLog> Look(const std::string& path) const;

  const FsRoot fs_;
  std::vector<std::string> folders_;
  std::vector<std::string> real_folders_;  // resolved, each with a final slash
  FileDescriptor root_;                    // of fs_, for resolution below it
};

}  // namespace faultline
