// Reading the files of one cgroup after the other, for collectors: which hierarchy a controller is in is decided
// here, v1 or v2 files are the leaf's own knowledge. Not thread-safe.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "agent/containers/container_index.h"
#include "common/host_view.h"

namespace faultline {

class CgroupFiles {
 public:
  // Both outlive this. kUnsupported when no hierarchy carries the controller; "unified" asks for v2 itself.
  static Result<CgroupFiles> Of(const HostView& host, const ContainerIndex* index, std::string_view controller);

  bool is_v1() const { return is_v1_; }
  // The file of that cgroup, valid until the next call; nothing when it is not there (the cgroup may have died, or
  // lives in other hierarchies only).
  std::optional<std::string_view> Read(std::string_view cgroup_path, std::string_view file);
  // Its only number; `max` reads as nothing.
  std::optional<uint64_t> ReadUint(std::string_view cgroup_path, std::string_view file);
  // Of the flat-keyed text (`key value` lines).
  static std::optional<uint64_t> Field(std::string_view text, std::string_view key);

 private:
  CgroupFiles(std::string mount_point, bool is_v1) : mount_point_(std::move(mount_point)), is_v1_(is_v1) {}

  std::string mount_point_;  // as this process opens it
  bool is_v1_;
  std::string path_;
  std::string text_;
};

}  // namespace faultline
