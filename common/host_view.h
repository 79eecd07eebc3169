// A leaf's view of the host: where its files are, what time it is, and the few constants that the
// numbers in /proc need. A directory of fixture files makes any leaf testable.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/clock.h"
#include "common/result.h"

namespace faultline {

// Paths below a root: "/" on a host, "/host" in a container, a fixture folder in a test.
class FsRoot {
 public:
  explicit FsRoot(std::string root = "/");

  // `path` is absolute, as seen from the root.
  std::string Path(std::string_view path) const;
  // The whole file, at most `max_bytes` (more is kResourceExhausted).
  Result<std::string> Read(std::string_view path, size_t max_bytes = size_t{4} << 20) const;
  // Same, without trailing white space.
  Result<std::string> ReadTrimmed(std::string_view path) const;
  // First number of the file.
  Result<int64_t> ReadInt(std::string_view path) const;
  // Names (not paths) in a folder, sorted, without . and ..
  Result<std::vector<std::string>> List(std::string_view path) const;
  bool Exists(std::string_view path) const;
  const std::string& root() const { return root_; }

 private:
  std::string root_;  // no trailing slash; empty for "/"
};

struct HostView {
  FsRoot fs;
  const Clock* clock = nullptr;      // outlives every leaf
  int64_t page_size = 4096;
  int64_t ticks_per_second = 100;    // USER_HZ
  std::string boot_id;

  // The real host below `root`. `clock` must outlive the view.
  static HostView Real(std::string root, const Clock* clock);
};

// A /proc or /sys file that is read again and again: the descriptor stays open and is re-read with
// pread, which saves the open and close of every pass. Not thread-safe. The text is valid until
// the next Read of any PolledFile of the same thread.
class PolledFile {
 public:
  PolledFile() = default;
  explicit PolledFile(std::string path) : path_(std::move(path)) {}
  PolledFile(PolledFile&& other) noexcept;
  PolledFile& operator=(PolledFile&& other) noexcept;
  PolledFile(const PolledFile&) = delete;
  PolledFile& operator=(const PolledFile&) = delete;
  ~PolledFile();

  // Re-opens by itself when the file went away and came back.
  Result<std::string_view> Read();
  const std::string& path() const { return path_; }

 private:
  std::string path_;
  int fd_ = -1;
};

}  // namespace faultline
