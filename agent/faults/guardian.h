// The guardian: a small process that outlives the agent's SIGKILL and undoes what the agent can no
// longer undo. It sleeps in poll() on the journal folder and on the agent's pidfd; with nothing in
// force it never wakes. It acts at once when the agent has died, on everything that agent left in
// force (cause agent_killed), and then ends; and shortly after a fault's deadline or the lease has
// passed, when the agent lives but did not act (hung, stopped).
// There are two of them, so that one is left when the other and the agent are killed in the same
// moment. The second does the same a little later and mostly finds it done.
// They never touch what another agent has journalled: entries carry their owner.
#pragma once

#include <sys/types.h>

#include <array>
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
constexpr int64_t kSecondGraceNs = 200 * kNsPerMs;    // and the first guardian before the second
constexpr int kGuardians = 2;

struct GuardianOptions {
  std::string journal_folder;
  std::string host_root;
  uint32_t agent_pid = 0;
  std::string owner;  // of the agent's entries
  int lease_fd = -1;
  int rank = 0;  // 0: acts first
};

// faultline-guardian --guard FOLDER HOST_ROOT AGENT_PID OWNER LEASE_FD RANK
Result<GuardianOptions> ReadGuardianArguments(int argc, char** argv);
// Until the agent has ended and nothing of it is in force. `catalogue`: tests pass their own.
Result<void> Guard(const GuardianOptions& options, std::span<const FaultRow> catalogue);

// The agent's side: starts the guardians and starts each again when it was killed. Used by one
// thread.
class GuardianKeeper {
 public:
  GuardianKeeper(std::string program, std::string journal_folder, std::string host_root,
                 std::string owner);
  ~GuardianKeeper();  // leaves them running: they end when we do
  Result<void> Start(const Lease& lease);
  // Cheap; restarts dead ones, each at most once a second.
  void Check(const Lease& lease, int64_t now_steady_ns);
  // Of those that run.
  std::vector<uint32_t> pids() const;

 private:
  struct Kept {
    pid_t pid = -1;
    int64_t next_start_ns = 0;
  };
  Result<pid_t> StartOne(const Lease& lease, size_t rank) const;

  const std::string program_;
  const std::string journal_folder_;
  const std::string host_root_;
  const std::string owner_;
  std::array<Kept, kGuardians> kept_;
};

}  // namespace faultline
