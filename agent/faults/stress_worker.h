// A worker is a small process of ours that uses up something in a target's cgroup. Its command line
// carries the fault's uid, so that a sweep finds the workers of one fault and only them, from any
// process and after any crash. Three things end it: SIGKILL by Recover, the death of the thread
// that started it (PR_SET_PDEATHSIG), and its own alarm a little after the deadline.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/faults/fault.h"
#include "agent/faults/process_identity.h"
#include "common/result.h"

namespace faultline {

// What a worker does: "cpu" a load of 1..100 per cent of one CPU; "memory" holds `amount` bytes;
// "io" writes `amount` bytes to a file without a name in `place`, syncs, and begins again; "reboot"
// and "shutdown" do that to the host after `amount` milliseconds, if nobody ends them before.
struct WorkerOrder {
  std::string fault_uid;
  std::string home;  // the journal it belongs to: agents may share a machine
  std::string kind;
  int load_percent = 100;
  int64_t lifetime_s = 0;  // ends by itself then
  int64_t amount = 0;
  int oom_score_adj = 1000;
  std::string place;
};

// Starts a worker that waits, calls `place` with its pid, then lets it go; if `place` fails it
// never begins.
Result<ProcessIdentity> StartWorker(const WorkerOrder& order, const FaultHost& host,
                                    const std::function<Result<void>(uint32_t pid)>& place);
// Workers of that fault and of that home; an empty one means any. Zombies do not count: they use
// nothing.
std::vector<LiveProcess> FindWorkers(const HostView& host, std::string_view fault_uid,
                                     std::string_view home = "");
// Kills them and waits until they are gone.
Result<void> EndWorkers(const HostView& host, std::string_view fault_uid,
                        std::string_view home = "");
// Collects the ended children among the workers this process started.
void ReapWorkers();

// The program of a worker: faultline-guardian --worker UID HOME KIND LOAD LIFETIME_S
// AMOUNT OOM_SCORE_ADJ PLACE. Waits for one
// byte on standard input before it begins.
int WorkerMain(int argc, char** argv);

}  // namespace faultline
