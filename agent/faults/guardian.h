// The guardian: a small process that outlives the agent's SIGKILL and undoes what the agent can no
// longer undo. It sleeps in poll() on the journal folder and on the agent's pidfd; with nothing in
// force it never wakes. It acts at once when the agent has died, on everything that agent left in
// force (cause agent_killed), and then ends; and shortly after a fault's deadline or the lease has
// passed, when the agent lives but did not act (hung, stopped).
// It never touches what another agent has journalled: entries carry their owner.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "agent/faults/fault.h"
#include "agent/faults/fault_journal.h"
#include "agent/faults/lease.h"
#include "common/result.h"

namespace faultline {

constexpr int64_t kGuardianGraceNs = 300 * kNsPerMs;  // the agent goes first

struct GuardianOptions {
  std::string journal_folder;
  std::string host_root;
  uint32_t agent_pid = 0;
  std::string owner;  // of the agent's entries
  int lease_fd = -1;
};

// faultline-guardian --guard FOLDER HOST_ROOT AGENT_PID OWNER LEASE_FD
Result<GuardianOptions> ReadGuardianArguments(int argc, char** argv);
// Until the agent has ended and nothing of it is in force. `catalogue`: tests pass their own.
Result<void> Guard(const GuardianOptions& options, std::span<const FaultRow> catalogue);

// The agent's side: starts the guardian and starts it again when it was killed. Used by one thread.
class GuardianKeeper {
 public:
  GuardianKeeper(std::string program, std::string journal_folder, std::string host_root,
                 std::string owner);
  ~GuardianKeeper();  // leaves it running: it ends when we do
  Result<void> Start(const Lease& lease);
  // Cheap; restarts a dead one, at most once a second.
  void Check(const Lease& lease, int64_t now_steady_ns);
  pid_t pid() const { return pid_; }
  int restarts() const { return restarts_; }

 private:
  const std::string program_;
  const std::string journal_folder_;
  const std::string host_root_;
  const std::string owner_;
  pid_t pid_ = -1;
  int restarts_ = 0;
  int64_t next_start_ns_ = 0;
};

}  // namespace faultline
