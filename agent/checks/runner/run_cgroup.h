// The cgroup (v2) of one run: made before the program, which is born in it; killed and removed as a
// whole.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/result.h"

namespace faultline {

class RunCgroup {
 public:
  RunCgroup() = default;
  // Makes the folder; `path` is absolute.
  static Result<RunCgroup> Make(std::string path);
  RunCgroup(RunCgroup&& other) noexcept;
  RunCgroup& operator=(RunCgroup&& other) noexcept;
  ~RunCgroup();  // does not remove it: Remove does

  int fd() const { return fd_; }  // of the folder, for CLONE_INTO_CGROUP; -1: none
  const std::string& path() const { return path_; }
  void Kill() const;
  bool Empty() const;
  // As in `cgroup.procs`, those of nested cgroups too, at most some thousands.
  std::vector<int> Processes() const;
  int64_t CpuNs() const;
  // With what was made below it. False: something lives in it.
  bool Remove();

 private:
  std::string path_;
  int fd_ = -1;
};

// Kills everything below `folder` and removes it as far as it is empty: what an earlier runner
// left.
void SweepCgroups(const std::string& folder);

}  // namespace faultline
