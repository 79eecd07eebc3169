// A fault changes one thing on this node and can undo it. Four questions, asked in this order by
// the fault engine (fault_engine.h), which journals and fsyncs between them:
//   Plan     looks only; names exact victims; everything Recover will need is in the plan.
//   Inject   changes the host. May be cut off at any point by SIGKILL: Recover must undo any half
//   of it. Verify   measures what really changed, after the fact, by other means than Inject used.
//   Recover  idempotent; works after a restart, in another process (the guardian), from the plan
//   alone.
// A fault keeps no state of its own: each call may meet a fresh object, on another thread or in
// another process. What must be remembered is in the plan or can be found on the host again.
//
// Several faults on one target. `FaultHost::others` are the plans of all other faults in force on
// this node, oldest first, in every call. A fault that shares something with others (a qdisc, a
// cgroup file) names it in plan.claims (claims.h) and makes Inject and Recover set what all faults
// in force *together* want: the own plan and OthersWith(claim) in Inject, OthersWith(claim) alone
// in Recover. Then any order of adding and removing works, and so does doing it twice. claims[name]
// is the value before the first of them came: layered_value.h does the rest for files and numbers
// of which only the newest can hold.
#pragma once

#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "agent/containers/container_index.h"
#include "agent/faults/fault_parameters.h"
#include "common/host_view.h"
#include "common/result.h"
#include "faultline/v1/control.pb.h"

namespace faultline {

struct FaultSpec {
  std::string uid;         // letters, digits, . _ -; at most 128
  std::string experiment;  // namespace/name of the object that asked
  std::string fault;       // catalogue name
  // Checked against the catalogue's rows, defaults filled in: the getters cannot fail for those.
  ParameterTexts parameters;
  v1::Subject target;  // exactly one container, cgroup, process or the node
  int64_t duration_ms = 0;
  bool dry_run = false;  // only planned

  bool Has(const std::string& name) const { return parameters.contains(name); }
  // Absent: empty or 0.
  std::string Text(const std::string& name) const;
  int64_t Integer(const std::string& name) const;
  double Number(const std::string& name) const;  // kNumber, kPercent
  int64_t DurationNs(const std::string& name) const;
  uint64_t Bytes(const std::string& name) const;
  ParsedSize Size(const std::string& name) const;
  double RateBytesPerS(const std::string& name) const;
  bool Flag(const std::string& name) const;
  std::vector<std::string> List(const std::string& name) const;
};

// What will be done to whom. Serialised into the journal before anything changes.
struct FaultPlan {
  FaultSpec spec;
  std::vector<std::string> victims;          // for people: "pid 4242 (nginx)", "cgroup /a/b"
  std::map<std::string, std::string> state;  // for Recover: what was before, ids, start times
  // What may change, by name (claims.h). Plan names them with an empty value; the engine fills in
  // what was there before, and after recovery compares: what differs is residue. Need not be
  // exhaustive if Residue finds the rest.
  std::map<std::string, std::string> claims;
  std::map<std::string, double> before;  // what Verify measured before Inject: name -> value

  // Empty when absent.
  std::string State(const std::string& name) const;
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
  // TCP ports that must keep working: the agent's own transport and page (both directions).
  std::vector<uint16_t> protected_ports;
  std::vector<FaultPlan> others;  // the other faults in force on this node, oldest first

  // Those of `others` that claim the same thing, oldest first.
  std::vector<const FaultPlan*> OthersWith(const std::string& claim) const;
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
  // Names what is left of this fault on the host; empty after a good Recover. The engine adds what
  // the claims say.
  virtual std::vector<std::string> Residue(const FaultPlan& plan, const FaultHost& host) = 0;
  // At start-up, after the journal was replayed: removes things of this kind that carry the tag of
  // this agent (fault_tag.h) and belong to none of host.others; names what it removed.
  virtual std::vector<std::string> Sweep(const FaultHost& host);
};

// One measured quantity, with plan.before[name] beside it.
void AddMeasurement(v1::Effect& effect, const FaultPlan& plan, const std::string& name,
                    double during, double asked);

struct FaultRow {
  std::string_view name;
  std::string_view doc;
  std::span<const ParameterRow> parameters;
  std::unique_ptr<Fault> (*make)() = nullptr;
  // Parameters with which it works on a test's victim: "latency=100ms device={device}". The
  // conformance suite replaces {device}, {folder}, {file}, {port}, {peer}, {pid} (see
  // tests/support/fault_stage.h); people read it in `fault list`.
  std::string_view example = {};
  // Happens once and is over as soon as it was verified; a plan with state["holds"] lasts all the
  // same.
  bool one_shot = false;
  // A container that comes back under its name while the fault is in force gets it again.
  bool reapply = true;
  // Only where faults.allowed names it: what gives its user a shell, or ends the node.
  bool must_be_allowed = false;
};

std::span<const FaultRow> FaultCatalogue();
// nullptr: there is no such fault.
const FaultRow* FindFault(std::span<const FaultRow> catalogue, std::string_view name);

}  // namespace faultline
