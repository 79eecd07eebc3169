// The agent's end of faultline-check-runner (runner/run_host.h): starts it, keeps it, hands it runs
// and hears their outcomes. Never waits. A runner that died is started again; runs that it had are
// told as failed. Belongs to the thread of the checks.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <map>
#include <string>

#include "common/result.h"
#include "faultline/v1/check_run.pb.h"

namespace faultline {

class ProgramRunner {
 public:
  using Done = std::function<void(const v1::ProgramOutcome&)>;

  // `program`: faultline-check-runner; empty: the one beside this program. `cgroup_folder`: see
  // RunHost.
  ProgramRunner(std::string program, std::string cgroup_folder);
  ~ProgramRunner();  // hangs up: everything that runs is ended

  // Gives the request its id and returns it. `done` is called from Receive, once; a run that hangs
  // in the kernel is told as timed out, and `ended` when it is gone at last.
  uint64_t Run(v1::RunProgram request, Done done, std::function<void()> ended);
  // Readable when there is something to Receive; -1 when there is no runner.
  int fd() const { return socket_; }
  void Receive();
  uint64_t restarts() const { return restarts_; }
  pid_t pid() const { return pid_; }

 private:
  struct Waiting {
    Done done;
    std::function<void()> ended;
    bool told = false;
  };

  Result<void> Start();
  void Lost(const std::string& why);

  const std::string program_;
  const std::string cgroup_folder_;
  int socket_ = -1;
  pid_t pid_ = -1;
  uint64_t next_id_ = 1;
  uint64_t restarts_ = 0;
  int64_t start_again_ns_ = 0;
  std::map<uint64_t, Waiting> waiting_;
};

// <own v2 cgroup>/faultline-checks-<pid> under `unified_mount`, or at its root if ours cannot be
// found; empty without a mount.
std::string CheckCgroupFolder(const std::string& unified_mount);

}  // namespace faultline
