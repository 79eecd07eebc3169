// Reading the files of one cgroup after the other, for collectors: which hierarchy a controller is
// in is decided here, v1 or v2 files are the leaf's own knowledge. Files stay open from pass to
// pass, as re-reading one costs a tenth of opening it; at most kMaxOpenFiles in the process (the
// kernel keeps a page for each), the rest is opened each time. Not thread-safe.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "agent/containers/container_index.h"
#include "common/host_view.h"

namespace faultline {

class CgroupFiles {
 public:
  // Both outlive this. kUnsupported when no hierarchy carries the controller; "unified" asks for v2
  // itself.
  static Result<CgroupFiles> Of(const HostView& host, const ContainerIndex* index,
                                std::string_view controller);

  static constexpr int kMaxOpenFiles = 2048;

  CgroupFiles(CgroupFiles&&) = default;
  CgroupFiles(const CgroupFiles&) = delete;

  bool is_v1() const { return is_v1_; }
  // Call it once a pass: closes what the last passes did not ask for.
  void BeginPass();
  // The file of that cgroup, valid until the next call; nothing when it is not there (the cgroup
  // may have died, or lives in other hierarchies only).
  std::optional<std::string_view> Read(std::string_view cgroup_path, std::string_view file);
  // Its only number; `max` reads as nothing.
  std::optional<uint64_t> ReadUint(std::string_view cgroup_path, std::string_view file);
  // Of the flat-keyed text (`key value` lines).
  static std::optional<uint64_t> Field(std::string_view text, std::string_view key);

 private:
  CgroupFiles(std::string mount_point, bool is_v1)
      : mount_point_(std::move(mount_point)), is_v1_(is_v1) {}

  std::string mount_point_;  // as this process opens it
  bool is_v1_;
  class OpenFile {
   public:
    OpenFile(int fd, bool counted) : fd_(fd), counted_(counted) {}
    OpenFile(OpenFile&& other) noexcept;
    OpenFile& operator=(OpenFile&& other) noexcept;
    ~OpenFile();
    int fd() const { return fd_; }

   private:
    int fd_;
    bool counted_;
  };
  struct Folder {
    std::vector<std::pair<std::string, OpenFile>> files;  // few: searched in order
    uint64_t used_pass = 0;
  };
  std::optional<std::string_view> ReadFrom(int fd);
  int Open(std::string_view cgroup_path, std::string_view file);

  std::unordered_map<std::string, Folder> folders_;  // by cgroup path
  uint64_t pass_ = 0;
  std::string path_;
  std::string text_;
};

}  // namespace faultline
