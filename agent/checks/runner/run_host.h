// The world in which programs of checks run: a process of its own with one thread, so that it may
// fork at any time, that adopts what its children leave behind (subreaper). Each run has a cgroup,
// a session and a process group of its own, and ends with all of it dead: by cgroup.kill, and what
// had moved out of the cgroup is found among the adopted. Nothing here waits for a process: one
// that hangs in the kernel is reported, left behind, and reaped when the kernel lets it go. Ends
// when its agent is gone.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>

#include "agent/checks/runner/run_cgroup.h"
#include "common/result.h"
#include "faultline/v1/check_run.pb.h"

namespace faultline {

class RunHost {
 public:
  // `socket`: SOCK_SEQPACKET to the agent. `cgroup_folder`: absolute, to be made; empty: there is
  // no cgroup v2.
  RunHost(int socket, std::string cgroup_folder);
  ~RunHost();
  // Until the agent hangs up.
  Result<void> Serve();

 private:
  struct Run;

  void ReadRequests();
  void Start(v1::RunProgram request);
  // In the child; never returns.
  [[noreturn]] void Become(const v1::RunProgram& request, int out, int err, int status);
  void ReadOutput(Run& run, int& fd, std::string& kept);
  void Reap();
  void KillAll(Run& run);
  // Adopted processes that are in no run's cgroup: they had moved out.
  void EndEscaped();
  void Step(Run& run, int64_t now_ns);
  void Finish(Run& run, int64_t now_ns);
  void Reply(const v1::ProgramOutcome& outcome);
  int WaitMs(int64_t now_ns) const;

  const int socket_;
  const std::string cgroup_folder_;
  bool contains_ = false;  // cgroups can be made
  bool open_ = true;       // the agent is there
  int64_t looked_ns_ = 0;  // when the adopted were last looked at
  std::map<uint64_t, std::unique_ptr<Run>> runs_;
  std::map<int, Run*> by_pid_;
};

}  // namespace faultline
