// A fault changes one thing on this node and can undo it. Four questions, asked in this order by
// the fault engine (fault_engine.h), which journals and fsyncs between them:
//   Plan     looks only; names exact victims; everything Recover will need is in the plan.
//   Inject   changes the host. May be cut off at any point by SIGKILL: Recover must undo any half
//   of it. Verify   measures what really changed, after the fact, by other means than Inject used.
//   Recover  idempotent; works after a restart, in another process (the guardian), from the plan
//   alone.
// A fault keeps no state of its own: each call may meet a fresh object, on another thread or in
// another process. What must be remembered is in the plan or can be found on the host again.
#pragma once

#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "agent/containers/container_index.h"
#include "common/host_view.h"
#include "common/result.h"
#include "faultline/v1/control.pb.h"

namespace faultline {

struct FaultSpec {
  std::string uid;         // letters, digits, . _ -; at most 128
  std::string experiment;  // namespace/name of the object that asked
  std::string fault;       // catalogue name
  std::map<std::string, std::string> parameters;
  v1::Subject target;  // exactly one container, cgroup, process or the node
  int64_t duration_ms = 0;
};

// What will be done to whom. Serialised into the journal before anything changes.
struct FaultPlan {
  FaultSpec spec;
  std::vector<std::string> victims;          // for people: "pid 4242 (nginx)", "cgroup /a/b"
  std::map<std::string, std::string> state;  // for Recover: what was before, ids, start times
  std::map<std::string, double> before;      // what Verify measured before Inject: name -> value
};

// A host and who lives on it, as faults see it. The index may be null in the guardian: Recover must
// do without it.
struct FaultHost {
  const HostView* host = nullptr;
  ContainerIndex* containers = nullptr;
  CgroupMounts mounts;
  std::string worker_program;  // faultline-guardian, which is also the program of stress workers
  std::string journal_folder;  // tells the processes of this agent from those of another
  // Never touched, besides those that protected_processes.h names: the agent, its guardian.
  std::vector<uint32_t> protected_pids;
};

class Fault {
 public:
  virtual ~Fault() = default;
  virtual Result<FaultPlan> Plan(const FaultSpec& spec, const FaultHost& host) = 0;
  virtual Result<void> Inject(const FaultPlan& plan, const FaultHost& host) = 0;
  // Blocks for its measuring window (a second or two). The engine calls it before Inject (the
  // numbers go into plan.before), while the fault is in force, and after Recover; it must only
  // look.
  virtual Result<v1::Effect> Verify(const FaultPlan& plan, const FaultHost& host) = 0;
  virtual Result<void> Recover(const FaultPlan& plan, const FaultHost& host) = 0;
  // Names what is left of this fault on the host; empty after a good Recover.
  virtual std::vector<std::string> Residue(const FaultPlan& plan, const FaultHost& host) = 0;
};

struct FaultRow {
  std::string_view name;
  std::string_view doc;
  std::string_view parameters;  // documentation: "workers (1), load (100)"
  std::unique_ptr<Fault> (*make)() = nullptr;
};

std::span<const FaultRow> FaultCatalogue();

}  // namespace faultline
