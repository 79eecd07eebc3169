// Three kinds of threads, one rule: only the engine's thread changes the host. It takes work from one bounded queue and
// otherwise sleeps until the next deadline. Measuring threads run Verify and hand the result back through the same
// queue. What must survive us is in the journal before it happens; `faults_` is only its index.
//
// The deadline is armed right after Inject, before Verify: a fault must never be in force without one.

#include "agent/faults/fault_engine.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <optional>
#include <thread>

#include "agent/containers/cgroup_mounts.h"
#include "agent/faults/fault_journal.h"
#include "agent/faults/fault_recovery.h"
#include "agent/faults/guardian.h"
#include "agent/faults/lease.h"
#include "agent/faults/stress_worker.h"
#include "common/bounded_queue.h"
#include "common/log.h"

namespace faultline {
namespace {

constexpr size_t kMaxQueuedTasks = 256;
constexpr int kMeasuringThreads = 4;
constexpr int64_t kMaxCommandAgeNs = 30 * kNsPerSecond;
constexpr int64_t kInjectMarginNs = 10 * kNsPerSecond;  // a plan that has not become a fault by then is undone
constexpr int64_t kRetryNs = 500 * kNsPerMs;
constexpr int kAttemptsBeforeResidue = 5;
constexpr size_t kMaxDoneKept = 64;
constexpr int64_t kDoneKeptNs = 3600 * kNsPerSecond;
constexpr int64_t kMaxSleepNs = kNsPerSecond;

using Task = std::function<void()>;

std::string ProgramBeside(std::string_view name) {
  char path[4096];
  const ssize_t n = readlink("/proc/self/exe", path, sizeof path);
  if (n <= 0) return "";
  const std::string_view self(path, static_cast<size_t>(n));
  return fmt::format("{}/{}", self.substr(0, self.rfind('/')), name);
}

// The command that this entry came from, as far as a refusal needs it.
v1::Command CommandOf(const v1::FaultJournalEntry& entry, const std::string& id) {
  v1::Command command;
  command.set_id(id);
  v1::InjectFault& asked = *command.mutable_inject_fault();
  asked.set_fault_uid(entry.fault_uid());
  asked.set_experiment(entry.experiment());
  asked.set_fault(entry.fault());
  *asked.mutable_target() = entry.target();
  return command;
}

void AddError(v1::CommandReply& reply, const Error& error) {
  reply.set_error_code(std::string(ErrorCodeName(error.code)));
  reply.set_error_message(error.message);
}

}  // namespace

struct FaultEngine::Impl {
  enum class Stage { kMeasuringBefore, kInForce, kMeasuringAfter };
  struct Running {
    v1::FaultJournalEntry entry;
    Stage stage = Stage::kMeasuringBefore;
    std::string command_id;
    ReplySink reply;           // of the InjectFault, until it is in force
    std::string ending_cause;  // recovery was tried and will be tried again
    int attempts = 0;
    int64_t next_attempt_ns = 0;
    bool left_over = false;    // of an earlier run
  };

  Impl(FaultEngineOptions the_options, const HostView& the_host, CgroupMounts mounts, TransitionSink sink)
      : options(std::move(the_options)), view(the_host), on_transition(std::move(sink)) {
    host.host = &view;
    host.mounts = std::move(mounts);
    if (host.mounts.unified.empty() && host.mounts.v1.empty()) {
      host.mounts = ReadCgroupMounts(view.fs).value_or(CgroupMounts());
    }
    if (options.guardian_program.empty()) options.guardian_program = ProgramBeside("faultline-guardian");
    if (access(options.guardian_program.c_str(), X_OK) == 0) host.worker_program = options.guardian_program;
  }

  int64_t Now() const { return view.clock->SteadyNs(); }
  std::unique_ptr<Fault> Make(const Running& fault) const {
    return MakeFault(options.catalogue, fault.entry.fault());
  }

  void Emit(v1::FaultTransition transition) { on_transition(std::move(transition)); }

  // ---- Start -----------------------------------------------------------------------------------------------------
  Result<void> Open();
  void RecoverLeftOvers(const FaultJournal::Contents& contents);
  // ---- The engine's thread ---------------------------------------------------------------------------------------
  void Run();
  int64_t SleepNs() const;
  void Tick();
  void ForgetOldDone();
  // ---- Life of one fault -----------------------------------------------------------------------------------------
  void Inject(const v1::Command& command, ReplySink reply);
  Result<void> CheckLimits(const v1::InjectFault& asked) const;
  Result<FaultPlan> MakePlan(const v1::InjectFault& asked, const std::string& uid) const;
  void OnMeasuredBefore(const std::string& uid, Result<v1::Effect> effect);
  void BringIntoForce(const std::string& uid);
  void OnVerified(const std::string& uid, Result<v1::Effect> effect);
  Result<void> End(const std::string& uid, const std::string& cause, const std::string& failure = "");
  void OnMeasuredAfter(const std::string& uid, Result<v1::Effect> effect);
  void TellEnd(const v1::FaultJournalEntry& entry, bool tell_begin);
  void Refuse(const v1::Command& command, const ReplySink& reply, const Error& error, bool tell);
  void Recover(const v1::Command& command, const ReplySink& reply);
  void List(const v1::Command& command, const ReplySink& reply) const;
  void Measure(const std::string& uid, void (Impl::*then)(const std::string&, Result<v1::Effect>));
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
  std::atomic<size_t> left_overs = 0;
  int64_t next_forget_ns = 0;

  BoundedQueue<Task> tasks{kMaxQueuedTasks};
  BoundedQueue<Task> measurements{kMaxQueuedTasks};
  std::atomic<bool> stopping = false;
  std::thread thread;
  std::vector<std::thread> measuring;
};

// ---- Start ---------------------------------------------------------------------------------------------------------

Result<void> FaultEngine::Impl::Open() {
  FAULTLINE_ASSIGN(FaultJournal opened, FaultJournal::Open(options.state_dir + "/faults"));
  journal.emplace(std::move(opened));
  host.journal_folder = journal->folder();
  FAULTLINE_ASSIGN(JournalLock lock, journal->LockOwner());
  owner_lock.emplace(std::move(lock));
  FAULTLINE_ASSIGN(Lease made, Lease::Create());
  lease.emplace(std::move(made));
  lease->SetExpiry(options.lease_ns > 0 ? Now() + options.lease_ns : INT64_MAX);
  FAULTLINE_ASSIGN(const ProcessStat self, ReadProcessStat(HostView::Real("/", view.clock), static_cast<uint32_t>(getpid())));
  owner = fmt::format("{}:{}", self.pid, self.start_ticks);
  host.protected_pids = {self.pid};
  FAULTLINE_ASSIGN(const FaultJournal::Contents contents, journal->LoadAll());
  for (const std::string& name : contents.unreadable) {
    spdlog::error("fault journal: {}; set aside: what it says cannot be undone", name);
  }
  journal->SetAsideUnreadable();
  RecoverLeftOvers(contents);
  // Workers of faults that nobody remembers.
  FAULTLINE_TRY(EndWorkers(view, "", journal->folder()));
  if (!options.guarded) return {};
  if (host.worker_program.empty()) {
    return Fail(ErrorCode::kNotFound, "the guardian's program {} is not there", options.guardian_program);
  }
  keeper.emplace(options.guardian_program, journal->folder(), view.fs.root(), owner);
  FAULTLINE_TRY(keeper->Start(*lease));
  host.protected_pids.push_back(static_cast<uint32_t>(keeper->pid()));
  return {};
}

void FaultEngine::Impl::RecoverLeftOvers(const FaultJournal::Contents& contents) {
  for (const v1::FaultJournalEntry& entry : contents.entries) {
    Running& left = running[entry.fault_uid()];
    left.entry = entry;
    left.left_over = true;
    left.stage = Stage::kInForce;
    ++left_overs;
  }
  for (const v1::FaultJournalEntry& entry : contents.entries) {
    if (const auto ended = End(entry.fault_uid(), "restart"); !ended) {
      spdlog::error("fault {} of an earlier run cannot be undone yet: {}", entry.fault_uid(), ended.error().message);
    }
  }
}

// ---- The engine's thread -------------------------------------------------------------------------------------------

void FaultEngine::Impl::Run() {
  while (!stopping) {
    if (auto task = tasks.Pop(std::chrono::nanoseconds(SleepNs()))) (*task)();
    Tick();
  }
  EndAll("restart");
}

int64_t FaultEngine::Impl::SleepNs() const {
  int64_t sleep_ns = kMaxSleepNs;
  for (const auto& [uid, fault] : running) {
    if (fault.stage != Stage::kInForce) continue;
    int64_t due = std::min(fault.entry.deadline_monotonic_ns(), lease->expiry_steady_ns());
    if (!fault.ending_cause.empty()) due = fault.next_attempt_ns;
    sleep_ns = std::min(sleep_ns, due - Now());
  }
  return std::max<int64_t>(sleep_ns, 0);
}

void FaultEngine::Impl::Tick() {
  const int64_t now = Now();
  std::vector<std::pair<std::string, std::string>> due;
  for (const auto& [uid, fault] : running) {
    if (fault.stage != Stage::kInForce) continue;
    if (!fault.ending_cause.empty()) {
      if (fault.next_attempt_ns <= now) due.emplace_back(uid, fault.ending_cause);
    } else if (fault.entry.deadline_monotonic_ns() <= now) {
      due.emplace_back(uid, "duration");
    } else if (lease->expiry_steady_ns() <= now) {
      due.emplace_back(uid, "lease_lost");
    }
  }
  for (const auto& [uid, cause] : due) {
    const auto ended = End(uid, cause);
    if (!ended && LogAllowed("fault/" + uid, 10)) spdlog::error("{}; trying again", ended.error().message);
  }
  if (keeper) {
    keeper->Check(*lease, now);
    host.protected_pids.back() = static_cast<uint32_t>(std::max(keeper->pid(), 0));
  }
  ReapWorkers();
  if (next_forget_ns <= now) ForgetOldDone();
}

void FaultEngine::Impl::ForgetOldDone() {
  next_forget_ns = Now() + 60 * kNsPerSecond;
  const auto contents = journal->LoadAll();
  if (!contents) return;
  std::vector<std::pair<int64_t, std::string>> done;
  for (const v1::FaultJournalEntry& entry : contents->entries) {
    if (entry.phase() != v1::FAULT_JOURNAL_PHASE_DONE || running.contains(entry.fault_uid())) continue;
    done.emplace_back(entry.recovered_unix_ns(), entry.fault_uid());
  }
  std::sort(done.rbegin(), done.rend());
  for (size_t i = 0; i < done.size(); ++i) {
    if (i < kMaxDoneKept && view.clock->UnixNs() - done[i].first < kDoneKeptNs) continue;
    if (const auto removed = journal->Remove(done[i].second); !removed) spdlog::warn("{}", removed.error().message);
  }
}

// ---- Life of one fault: into force ---------------------------------------------------------------------------------

Result<void> FaultEngine::Impl::CheckLimits(const v1::InjectFault& asked) const {
  if (left_overs > 0) {
    return Fail(ErrorCode::kUnavailable, "{} fault(s) of an earlier run are not undone yet", left_overs.load());
  }
  if (!IsFaultUid(asked.fault_uid())) return Fail(ErrorCode::kInvalidArgument, "fault_uid: '{}'", asked.fault_uid());
  if (!MakeFault(options.catalogue, asked.fault())) {
    return Fail(ErrorCode::kUnsupported, "fault: this agent has no '{}'", asked.fault());
  }
  if (!options.enabled) return Fail(ErrorCode::kPermissionDenied, "faults.enabled is false on this node");
  if (!options.allowed.empty() &&
      std::find(options.allowed.begin(), options.allowed.end(), asked.fault()) == options.allowed.end()) {
    return Fail(ErrorCode::kPermissionDenied, "fault: '{}' is not among faults.allowed of this node", asked.fault());
  }
  if (asked.duration_ms() <= 0) return Fail(ErrorCode::kInvalidArgument, "duration: a fault must have one");
  if (asked.duration_ms() > options.max_duration_ns / kNsPerMs) {
    return Fail(ErrorCode::kInvalidArgument, "duration: {} ms is more than faults.max_duration, {} ms",
                asked.duration_ms(), options.max_duration_ns / kNsPerMs);
  }
  if (running.size() >= options.max_faults) {
    return Fail(ErrorCode::kResourceExhausted, "{} faults are in force on this node", running.size());
  }
  return {};
}

Result<FaultPlan> FaultEngine::Impl::MakePlan(const v1::InjectFault& asked, const std::string& uid) const {
  FAULTLINE_TRY(CheckLimits(asked));
  FaultSpec spec;
  spec.uid = uid;
  spec.experiment = asked.experiment();
  spec.fault = asked.fault();
  spec.parameters.insert(asked.parameters().begin(), asked.parameters().end());
  spec.target = asked.target();
  spec.duration_ms = asked.duration_ms();
  return MakeFault(options.catalogue, asked.fault())->Plan(spec, host);
}

void FaultEngine::Impl::Refuse(const v1::Command& command, const ReplySink& reply, const Error& error, bool tell) {
  v1::CommandReply answer;
  answer.set_id(command.id());
  AddError(answer, error);
  if (tell) {
    v1::FaultJournalEntry entry;
    entry.set_fault_uid(command.inject_fault().fault_uid());
    entry.set_experiment(command.inject_fault().experiment());
    entry.set_fault(command.inject_fault().fault());
    *entry.mutable_target() = command.inject_fault().target();
    entry.set_failure(error.message);
    entry.set_recovered_unix_ns(view.clock->UnixNs());
    entry.set_recovered_monotonic_ns(Now());
    Emit(TransitionOf(entry, v1::FAULT_PHASE_FAILED));
  }
  reply(std::move(answer));
}

void FaultEngine::Impl::Inject(const v1::Command& command, ReplySink reply) {
  const v1::InjectFault& asked = command.inject_fault();
  const std::string& uid = asked.fault_uid();
  // A command that comes twice must not inject twice.
  if (const auto known = journal->Load(uid); known || running.contains(uid)) {
    v1::CommandReply answer;
    answer.set_id(command.id());
    if (known) *answer.add_faults() = StatusOf(*known);
    return reply(std::move(answer));
  }
  auto plan = MakePlan(asked, uid);
  if (!plan) return Refuse(command, reply, plan.error(), !asked.dry_run() && IsFaultUid(uid));
  v1::FaultJournalEntry entry;
  entry.set_fault_uid(uid);
  entry.set_experiment(asked.experiment());
  entry.set_fault(asked.fault());
  *entry.mutable_parameters() = asked.parameters();
  *entry.mutable_target() = asked.target();
  entry.set_duration_ms(asked.duration_ms());
  entry.mutable_victims()->Assign(plan->victims.begin(), plan->victims.end());
  entry.mutable_state()->insert(plan->state.begin(), plan->state.end());
  entry.set_phase(v1::FAULT_JOURNAL_PHASE_PLANNED);
  entry.set_boot_id(view.boot_id);
  entry.set_owner(owner);
  entry.set_planned_unix_ns(view.clock->UnixNs());
  entry.set_planned_monotonic_ns(Now());
  if (asked.dry_run()) {
    v1::CommandReply answer;
    answer.set_id(command.id());
    *answer.add_faults() = StatusOf(entry);
    return reply(std::move(answer));
  }
  Emit(TransitionOf(entry, v1::FAULT_PHASE_REQUESTED));
  Running& fault = running[uid];
  fault.entry = std::move(entry);
  fault.command_id = command.id();
  fault.reply = std::move(reply);
  Measure(uid, &Impl::OnMeasuredBefore);
}

void FaultEngine::Impl::OnMeasuredBefore(const std::string& uid, Result<v1::Effect> effect) {
  const auto at = running.find(uid);
  if (at == running.end() || at->second.stage != Stage::kMeasuringBefore) return;
  v1::FaultJournalEntry& entry = at->second.entry;
  // Without numbers from before Verify has less to say, but the fault can go on.
  if (effect) {
    for (const v1::Measurement& measurement : effect->measurements()) {
      (*entry.mutable_before())[measurement.name()] = measurement.during();
    }
  }
  const int64_t provisional_ns = entry.duration_ms() * kNsPerMs + kInjectMarginNs;
  entry.set_planned_unix_ns(view.clock->UnixNs());
  entry.set_planned_monotonic_ns(Now());
  entry.set_deadline_unix_ns(entry.planned_unix_ns() + provisional_ns);
  entry.set_deadline_monotonic_ns(entry.planned_monotonic_ns() + provisional_ns);
  if (const auto saved = journal->Save(entry); !saved) {
    const v1::Command command = CommandOf(entry, at->second.command_id);
    const ReplySink reply = at->second.reply;
    running.erase(at);
    return Refuse(command, reply, saved.error(), true);
  }
  at->second.stage = Stage::kInForce;
  Emit(TransitionOf(entry, v1::FAULT_PHASE_PLANNED));
  BringIntoForce(uid);
}

void FaultEngine::Impl::BringIntoForce(const std::string& uid) {
  Running& fault = running.at(uid);
  const Result<void> injected = Make(fault)->Inject(PlanOf(fault.entry), host);
  const int64_t unix_ns = view.clock->UnixNs();
  const int64_t steady_ns = Now();
  v1::CommandReply answer;
  answer.set_id(fault.command_id);
  const ReplySink reply = std::exchange(fault.reply, nullptr);
  Result<void> in_force = injected;
  if (injected) {
    // The guardian may have given us up meanwhile (a process that was stopped between the two lines above): then what
    // it has undone must stay undone.
    const auto lock = journal->Lock(uid, 5000);
    const auto journalled = journal->Load(uid);
    if (lock && journalled && journalled->phase() == v1::FAULT_JOURNAL_PHASE_PLANNED) {
      fault.entry.set_phase(v1::FAULT_JOURNAL_PHASE_ACTIVE);
      fault.entry.set_injected_unix_ns(unix_ns);
      fault.entry.set_injected_monotonic_ns(steady_ns);
      fault.entry.set_deadline_unix_ns(unix_ns + fault.entry.duration_ms() * kNsPerMs);
      fault.entry.set_deadline_monotonic_ns(steady_ns + fault.entry.duration_ms() * kNsPerMs);
      in_force = journal->Save(fault.entry);
    } else {
      (void)Make(fault)->Recover(PlanOf(fault.entry), host);
      in_force = Fail(ErrorCode::kTimeout, "fault {}: the guardian undid it before it was in force", uid);
    }
  }
  if (!in_force) {
    AddError(answer, in_force.error());
    const auto ended = End(uid, "requested", in_force.error().message);
    if (!ended) spdlog::error("{}", ended.error().message);
    return reply(std::move(answer));
  }
  Emit(TransitionOf(fault.entry, v1::FAULT_PHASE_INJECTED));
  *answer.add_faults() = StatusOf(fault.entry);
  reply(std::move(answer));
  Measure(uid, &Impl::OnVerified);
}

void FaultEngine::Impl::OnVerified(const std::string& uid, Result<v1::Effect> effect) {
  const auto at = running.find(uid);
  if (at == running.end() || at->second.stage != Stage::kInForce || !at->second.ending_cause.empty()) return;
  v1::FaultJournalEntry& entry = at->second.entry;
  if (effect) {
    *entry.mutable_effect() = *std::move(effect);
  } else {
    entry.mutable_effect()->set_verdict(v1::VERDICT_INCONCLUSIVE);
    entry.mutable_effect()->set_reason(effect.error().message);
  }
  {
    const auto lock = journal->Lock(uid, 5000);
    const auto journalled = journal->Load(uid);
    if (lock && journalled && journalled->phase() == v1::FAULT_JOURNAL_PHASE_ACTIVE) {
      if (const auto saved = journal->Save(entry); !saved) spdlog::error("{}", saved.error().message);
    }
  }
  auto transition = TransitionOf(entry, v1::FAULT_PHASE_VERIFIED);
  transition.set_time_unix_ns(view.clock->UnixNs());
  transition.set_time_monotonic_ns(Now());
  Emit(std::move(transition));
}

// ---- Life of one fault: out of force -------------------------------------------------------------------------------

Result<void> FaultEngine::Impl::End(const std::string& uid, const std::string& cause, const std::string& failure) {
  const auto at = running.find(uid);
  if (at == running.end() || at->second.stage == Stage::kMeasuringAfter) return {};
  Running& fault = at->second;
  if (fault.stage == Stage::kMeasuringBefore) {  // nothing was changed or journalled yet
    const ReplySink reply = std::move(fault.reply);
    const v1::Command command = CommandOf(fault.entry, fault.command_id);
    running.erase(at);
    Refuse(command, reply, Error{ErrorCode::kUnavailable, "recovered before it was in force: " + cause}, true);
    return {};
  }
  RecoveryOrder order{uid, cause, "agent", failure, ++fault.attempts >= kAttemptsBeforeResidue};
  auto done = RecoverJournalled(*journal, order, options.catalogue, host);
  if (!done) {
    fault.ending_cause = cause;
    fault.next_attempt_ns = Now() + kRetryNs * std::min(fault.attempts, 20);
    return std::unexpected(done.error());
  }
  fault.entry = *std::move(done);
  fault.stage = Stage::kMeasuringAfter;
  if (fault.left_over) --left_overs;
  if (fault.entry.has_after() || fault.entry.boot_id() != view.boot_id) {
    // Through the queue: at start-up this is not the engine's thread.
    tasks.TryPush([this, entry = fault.entry, left_over = fault.left_over] { TellEnd(entry, left_over); });
    running.erase(at);
  } else {
    Measure(uid, &Impl::OnMeasuredAfter);
  }
  return {};
}

void FaultEngine::Impl::OnMeasuredAfter(const std::string& uid, Result<v1::Effect> effect) {
  const auto at = running.find(uid);
  if (at == running.end() || at->second.stage != Stage::kMeasuringAfter) return;
  v1::FaultJournalEntry& entry = at->second.entry;
  if (effect) *entry.mutable_after() = *std::move(effect);
  if (const auto saved = journal->Save(entry); !saved) spdlog::error("{}", saved.error().message);
  TellEnd(entry, at->second.left_over);
  running.erase(at);
}

// `tell_begin`: the run that began it may have died before it could tell; hearing it twice is harmless.
void FaultEngine::Impl::TellEnd(const v1::FaultJournalEntry& entry, bool tell_begin) {
  const bool failed = !entry.failure().empty();
  if (tell_begin && !failed) {
    auto begin = TransitionOf(entry, v1::FAULT_PHASE_INJECTED);
    if (entry.injected_unix_ns() == 0) begin.set_message("the agent died while it injected; in force at most from here");
    Emit(std::move(begin));
    if (entry.has_effect()) Emit(TransitionOf(entry, v1::FAULT_PHASE_VERIFIED));
  }
  Emit(TransitionOf(entry, failed ? v1::FAULT_PHASE_FAILED : v1::FAULT_PHASE_RECOVERED));
}

void FaultEngine::Impl::EndAll(const std::string& cause) {
  std::vector<std::string> uids;
  for (const auto& [uid, fault] : running) uids.push_back(uid);
  for (const std::string& uid : uids) {
    for (int attempt = 0; attempt < kAttemptsBeforeResidue; ++attempt) {
      if (End(uid, cause)) break;
    }
    // No time to measure now; the entry stays and is told in full by the next run.
    if (const auto at = running.find(uid); at != running.end() && at->second.stage == Stage::kMeasuringAfter) {
      TellEnd(at->second.entry, at->second.left_over);
    }
  }
}

// ---- Commands ------------------------------------------------------------------------------------------------------

void FaultEngine::Impl::Recover(const v1::Command& command, const ReplySink& reply) {
  const v1::RecoverFault& asked = command.recover_fault();
  v1::CommandReply answer;
  answer.set_id(command.id());
  std::vector<std::string> uids = {asked.fault_uid()};
  if (asked.fault_uid().empty()) {
    uids.clear();
    for (const auto& [uid, fault] : running) uids.push_back(uid);
  }
  const std::string cause = asked.reason() == "halt" ? "halt" : "requested";
  for (const std::string& uid : uids) {
    if (const auto ended = End(uid, cause); !ended) AddError(answer, ended.error());
    if (const auto entry = journal->Load(uid)) {
      *answer.add_faults() = StatusOf(*entry);
    } else if (!asked.fault_uid().empty()) {
      AddError(answer, Error{ErrorCode::kNotFound, fmt::format("fault '{}' is not known on this node", uid)});
    }
  }
  reply(std::move(answer));
}

void FaultEngine::Impl::List(const v1::Command& command, const ReplySink& reply) const {
  v1::CommandReply answer;
  answer.set_id(command.id());
  if (const auto contents = journal->LoadAll()) {
    for (const v1::FaultJournalEntry& entry : contents->entries) *answer.add_faults() = StatusOf(entry);
  } else {
    AddError(answer, contents.error());
  }
  reply(std::move(answer));
}

void FaultEngine::Impl::Measure(const std::string& uid, void (Impl::*then)(const std::string&, Result<v1::Effect>)) {
  // Both queues hold more than there can be faults: each has one measurement at a time, or two while one is stale.
  auto measure = [this, uid, then, plan = PlanOf(running.at(uid).entry)] {
    const auto fault = MakeFault(options.catalogue, plan.spec.fault);
    const auto effect = std::make_shared<Result<v1::Effect>>(fault->Verify(plan, host));
    Task report = [this, uid, then, effect] { (this->*then)(uid, std::move(*effect)); };
    while (!tasks.TryPush(std::move(report)) && !tasks.closed()) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  };
  if (!measurements.TryPush(std::move(measure))) {
    tasks.TryPush([this, uid, then] {
      (this->*then)(uid, Fail(ErrorCode::kResourceExhausted, "too many measurements wait"));
    });
  }
}

// ---- The outside ---------------------------------------------------------------------------------------------------

FaultEngine::FaultEngine(FaultEngineOptions options, const HostView& host, CgroupMounts mounts,
                         TransitionSink on_transition)
    : impl_(std::make_unique<Impl>(std::move(options), host, std::move(mounts), std::move(on_transition))) {}

FaultEngine::~FaultEngine() { Stop(); }

Result<void> FaultEngine::Start() {
  FAULTLINE_TRY(impl_->Open());
  for (int i = 0; i < kMeasuringThreads; ++i) {
    impl_->measuring.emplace_back([impl = impl_.get()] {
      while (!impl->measurements.closed()) {
        if (auto task = impl->measurements.Pop(std::chrono::seconds(60))) (*task)();
      }
    });
  }
  impl_->thread = std::thread([impl = impl_.get()] { impl->Run(); });
  return {};
}

void FaultEngine::Stop() {
  if (!impl_->thread.joinable()) return;
  impl_->stopping = true;
  impl_->tasks.TryPush([] {});  // wakes it
  impl_->thread.join();
  impl_->tasks.Close();
  impl_->measurements.Close();
  for (std::thread& thread : impl_->measuring) thread.join();
  impl_->measuring.clear();
}

void FaultEngine::Handle(v1::Command command, ReplySink reply) {
  const int64_t asked_ns = impl_->Now();
  const auto shared = std::make_shared<std::pair<v1::Command, ReplySink>>(std::move(command), std::move(reply));
  const bool queued = impl_->tasks.TryPush([impl = impl_.get(), shared, asked_ns] {
    const auto& [asked, sink] = *shared;
    if (asked.has_recover_fault()) return impl->Recover(asked, sink);
    if (asked.has_list_faults()) return impl->List(asked, sink);
    if (!asked.has_inject_fault()) {
      return impl->Refuse(asked, sink, Error{ErrorCode::kUnsupported, "no command about faults"}, false);
    }
    if (impl->Now() - asked_ns > kMaxCommandAgeNs) {
      return impl->Refuse(asked, sink, Error{ErrorCode::kTimeout, "the command waited too long"}, false);
    }
    impl->Inject(asked, sink);
  });
  if (!queued) {
    const Error full{ErrorCode::kResourceExhausted, "the fault engine is busy or stopped"};
    impl_->Refuse(shared->first, shared->second, full, false);
  }
}

void FaultEngine::RenewLease() {
  if (impl_->lease && impl_->options.lease_ns > 0) impl_->lease->SetExpiry(impl_->Now() + impl_->options.lease_ns);
}

std::string FaultEngine::WhyOff() const {
  if (!impl_->options.enabled) return "faults.enabled is false";
  if (impl_->left_overs > 0) return fmt::format("{} fault(s) of an earlier run are not undone", impl_->left_overs.load());
  if (impl_->host.worker_program.empty()) return "faultline-guardian is not installed beside the agent";
  if (geteuid() != 0) return "not root: most faults cannot be injected";
  return "";
}

}  // namespace faultline
