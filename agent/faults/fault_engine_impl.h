// What fault_engine.cc (start, thread, commands) and fault_life.cc (the steps of one fault) share.
// Nobody else includes it.
#pragma once

#include <algorithm>
#include <atomic>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "agent/faults/fault_engine.h"
#include "agent/faults/fault_journal.h"
#include "agent/faults/fault_recovery.h"
#include "agent/faults/guardian.h"
#include "agent/faults/lease.h"
#include "common/bounded_queue.h"

namespace faultline {

constexpr size_t kMaxQueuedTasks = 256;
constexpr int64_t kRetryRecoveryNs = 500 * kNsPerMs;
constexpr int kAttemptsBeforeResidue = 5;

inline void AddError(v1::CommandReply& reply, const Error& error) {
  reply.set_error_code(std::string(ErrorCodeName(error.code)));
  reply.set_error_message(error.message);
}

struct FaultEngine::Impl {
  using Task = std::function<void()>;
  enum class Stage { kMeasuringBefore, kInForce, kMeasuringAfter };
  struct Running {
    v1::FaultJournalEntry entry;
    Stage stage = Stage::kMeasuringBefore;
    std::string command_id;
    ReplySink reply;           // of the InjectFault, until it is in force
    std::string ending_cause;  // recovery was tried and will be tried again
    int attempts = 0;
    int64_t next_attempt_ns = 0;
    bool left_over = false;     // of an earlier run
    uint64_t target_inode = 0;  // of the target's cgroup: another one means that it was made again
    int64_t next_look_ns = 0;   // for a target that has come back
  };

  Impl(FaultEngineOptions the_options, const HostView& the_host, CgroupMounts mounts,
       TransitionSink sink);

  int64_t Now() const { return view.clock->SteadyNs(); }
  std::unique_ptr<Fault> Make(const Running& fault) const {
    return MakeFault(options.catalogue, fault.entry.fault());
  }

  void Emit(v1::FaultTransition transition) { on_transition(std::move(transition)); }

  // ---- Start -----------------------------------------------------------------------------------
  Result<void> Open();
  void RecoverLeftOvers(const FaultJournal::Contents& contents);
  void SweepLeftOvers();
  void ProtectOurselves();
  // ---- The engine's thread ---------------------------------------------------------------------
  void Run();
  int64_t SleepNs() const;
  void Tick();
  void ForgetOldDone();
  // ---- Life of one fault -----------------------------------------------------------------------
  void Inject(const v1::Command& command, ReplySink reply);
  Result<void> CheckLimits(const v1::InjectFault& asked) const;
  Result<FaultPlan> MakePlan(const v1::InjectFault& asked, const std::string& uid) const;
  void OnMeasuredBefore(const std::string& uid, Result<v1::Effect> effect);
  void BringIntoForce(const std::string& uid);
  void OnVerified(const std::string& uid, Result<v1::Effect> effect);
  Result<void> End(const std::string& uid, const std::string& cause,
                   const std::string& failure = "");
  void OnMeasuredAfter(const std::string& uid, Result<v1::Effect> effect);
  void TellEnd(const v1::FaultJournalEntry& entry, bool tell_begin);
  void Refuse(const v1::Command& command, const ReplySink& reply, const Error& error, bool tell);
  void Recover(const v1::Command& command, const ReplySink& reply);
  void List(const v1::Command& command, const ReplySink& reply) const;
  void Measure(const std::string& uid, void (Impl::*then)(const std::string&, Result<v1::Effect>));
  FaultHost HostFor(const std::string& uid) const { return WithOthers(host, *journal, uid); }
  // ---- A target that came back (fault_reapply.cc) ----------------------------------------------
  uint64_t TargetInode(const v1::Subject& target) const;
  void LookForReturnedTargets();
  std::optional<v1::Subject> ReturnedTarget(const Running& fault) const;
  Result<void> Reapply(const std::string& uid, const v1::Subject& target);
  void EndAll(const std::string& cause);

  FaultEngineOptions options;
  const HostView view;
  FaultHost host;
  const TransitionSink on_transition;
  std::string owner;
  std::optional<FaultJournal> journal;
  std::optional<JournalLock> owner_lock;
  std::optional<Lease> lease;
  std::optional<GuardianKeeper> keeper;
  std::map<std::string, Running> running;
  std::vector<LiveContainer> containers;  // as last told
  std::atomic<bool> wants_containers = false;
  std::atomic<size_t> left_overs = 0;
  int64_t next_forget_ns = 0;

  BoundedQueue<Task> tasks{kMaxQueuedTasks};
  BoundedQueue<Task> measurements{kMaxQueuedTasks};
  std::atomic<bool> stopping = false;
  std::thread thread;
  std::vector<std::thread> measuring;
};

}  // namespace faultline
