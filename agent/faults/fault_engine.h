// The one place where the order of a fault's life is decided, because here the order is everything:
//   plan → journal, fsync → inject → journal active with its deadline → verify → …
//   → recover → audit → journal done.
// At start-up everything in the journal that is not done is recovered before anything else runs.
// Deadlines and the lease are held here, on the node; the guardian (guardian.h) holds them too, for
// when this process dies.
//
// One thread of its own does plan, inject and recover; a few measuring threads run Verify, so that
// a measuring window never delays a recovery. All methods are thread-safe; nothing here blocks the
// caller except Start and Stop.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "agent/faults/fault.h"
#include "common/host_view.h"
#include "common/result.h"
#include "faultline/v1/control.pb.h"

namespace faultline {

struct FaultEngineOptions {
  bool enabled = true;    // false: nothing is injected, but what an earlier run left is recovered
  std::string state_dir;  // the journal is in <state_dir>/faults
  std::vector<std::string> allowed;      // catalogue names; empty = all
  int64_t lease_ns = 30 * kNsPerSecond;  // 0: no lease
  int64_t max_duration_ns = 3600 * kNsPerSecond;
  size_t max_faults = 64;  // in force at once
  // faultline-guardian; empty: the one beside this program. Start fails without it if `guarded`.
  std::string guardian_program;
  bool guarded = true;                    // start and keep a guardian
  std::vector<uint16_t> protected_ports;  // FaultHost::protected_ports
  std::span<const FaultRow> catalogue = FaultCatalogue();
};

// A container that lives now: where a fault goes on when its target has restarted.
struct LiveContainer {
  std::string name_space;
  std::string pod;
  std::string container;
  std::string container_id;
  std::string cgroup;
};

class FaultEngine {
 public:
  // Called on the engine's thread, in order; must not block (post it to the thread that emits).
  using TransitionSink = std::function<void(v1::FaultTransition)>;
  // Called once, on the engine's thread; at once on the caller's when the engine's queue is full.
  using ReplySink = std::function<void(v1::CommandReply)>;

  // `host` must outlive the engine. Empty `mounts` are read from the host.
  FaultEngine(FaultEngineOptions options, const HostView& host, CgroupMounts mounts,
              TransitionSink on_transition);
  ~FaultEngine();

  // Recovers what an earlier run left, starts the guardian and the threads. Blocks while it
  // recovers; the transitions of that recovery follow on the engine's thread.
  Result<void> Start();
  // Recovers everything that is in force (cause restart) and joins the threads.
  void Stop();

  // InjectFault, RecoverFault and ListFaults; any other action is answered with unsupported.
  // InjectFault is answered once the fault is in force (or planned, for a dry run); Verify's result
  // follows as a transition.
  void Handle(v1::Command command, ReplySink reply);
  // The aggregator answered a heartbeat: faults may stay for another lease.
  void RenewLease();
  // Faults are in force whose target may come back as another container.
  bool WantsContainers() const;
  // All that live. A target that is gone and whose name is there again gets its fault again.
  void Containers(std::vector<LiveContainer> containers);
  // Why faults cannot be injected now; empty when they can.
  std::string WhyOff() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace faultline
