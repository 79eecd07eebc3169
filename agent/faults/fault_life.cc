// The steps of one fault, from the command to the last measurement. Each step that changes the host
// comes after the line of the journal that promises to undo it.
#include "agent/faults/claims.h"
#include "agent/faults/fault_engine_impl.h"
#include "common/log.h"
#include "common/text.h"

namespace faultline {
namespace {

constexpr int64_t kInjectMarginNs =
    10 * kNsPerSecond;  // a plan that has not become a fault by then is undone

// How long a fault that happens once counts as in force: time to look at what it did.
constexpr int64_t kOneShotMs = 10'000;

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

}  // namespace

// ---- Life of one fault: into force -------------------------------------------------------------

Result<void> FaultEngine::Impl::CheckLimits(const v1::InjectFault& asked) const {
  if (left_overs > 0) {
    return Fail(ErrorCode::kUnavailable, "{} fault(s) of an earlier run are not undone yet",
                left_overs.load());
  }
  if (journal->Halted())
    return Fail(ErrorCode::kPermissionDenied, "faults are halted on this node: {}/halt is there",
                journal->folder());
  if (!IsFaultUid(asked.fault_uid()))
    return Fail(ErrorCode::kInvalidArgument, "fault_uid: '{}'", asked.fault_uid());
  const FaultRow* row = FindFault(options.catalogue, asked.fault());
  if (row == nullptr) {
    return Fail(ErrorCode::kUnsupported, "fault: this agent has no '{}'", asked.fault());
  }
  if (!options.enabled)
    return Fail(ErrorCode::kPermissionDenied, "faults.enabled is false on this node");
  const auto allowed = [&](std::string_view name) {
    return std::find(options.allowed.begin(), options.allowed.end(), name) != options.allowed.end();
  };
  if (!options.allowed.empty() && !allowed("*") && !allowed(asked.fault())) {
    return Fail(ErrorCode::kPermissionDenied,
                "fault: '{}' is not among faults.allowed of this node", asked.fault());
  }
  if (row->must_be_allowed && !allowed(row->name)) {
    return Fail(ErrorCode::kPermissionDenied,
                "fault: '{}' must be named in faults.allowed of this node", row->name);
  }
  if (asked.duration_ms() <= 0 && !row->one_shot)
    return Fail(ErrorCode::kInvalidArgument, "duration: a fault must have one");
  if (asked.duration_ms() > options.max_duration_ns / kNsPerMs) {
    return Fail(ErrorCode::kInvalidArgument,
                "duration: {} ms is more than faults.max_duration, {} ms", asked.duration_ms(),
                options.max_duration_ns / kNsPerMs);
  }
  if (running.size() >= options.max_faults) {
    return Fail(ErrorCode::kResourceExhausted, "{} faults are in force on this node",
                running.size());
  }
  return {};
}

Result<FaultPlan> FaultEngine::Impl::MakePlan(const v1::InjectFault& asked,
                                              const std::string& uid) const {
  FAULTLINE_TRY(CheckLimits(asked));
  FaultSpec spec;
  spec.uid = uid;
  spec.experiment = asked.experiment();
  spec.fault = asked.fault();
  const FaultRow& row = *FindFault(options.catalogue, asked.fault());
  FAULTLINE_ASSIGN(
      spec.parameters,
      AcceptParameters(row.parameters, {asked.parameters().begin(), asked.parameters().end()},
                      row.name));
  spec.target = asked.target();
  spec.duration_ms = asked.duration_ms() > 0 ? asked.duration_ms() : kOneShotMs;
  spec.dry_run = asked.dry_run();
  const FaultHost seen = HostFor(uid);
  FAULTLINE_ASSIGN(FaultPlan plan, row.make()->Plan(spec, seen));
  FAULTLINE_TRY(FillClaims(plan, seen));
  return plan;
}

void FaultEngine::Impl::Refuse(const v1::Command& command, const ReplySink& reply,
                               const Error& error, bool tell) {
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
  SetPlan(entry, *plan);
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
  const Result<void> injected = Make(fault)->Inject(PlanOf(fault.entry), HostFor(uid));
  const int64_t unix_ns = view.clock->UnixNs();
  const int64_t steady_ns = Now();
  v1::CommandReply answer;
  answer.set_id(fault.command_id);
  const ReplySink reply = std::exchange(fault.reply, nullptr);
  Result<void> in_force = injected;
  if (injected) {
    // The guardian may have given us up meanwhile (a process that was stopped between the two lines
    // above): then what it has undone must stay undone.
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
      (void)Make(fault)->Recover(PlanOf(fault.entry), HostFor(uid));
      in_force =
          Fail(ErrorCode::kTimeout, "fault {}: the guardian undid it before it was in force", uid);
    }
  }
  if (!in_force) {
    AddError(answer, in_force.error());
    const auto ended = End(uid, "requested", in_force.error().message);
    if (!ended) spdlog::error("{}", ended.error().message);
    return reply(std::move(answer));
  }
  fault.target_inode = TargetInode(fault.entry.target());
  Emit(TransitionOf(fault.entry, v1::FAULT_PHASE_INJECTED));
  *answer.add_faults() = StatusOf(fault.entry);
  reply(std::move(answer));
  Measure(uid, &Impl::OnVerified);
}

void FaultEngine::Impl::OnVerified(const std::string& uid, Result<v1::Effect> effect) {
  const auto at = running.find(uid);
  if (at == running.end() || at->second.stage != Stage::kInForce ||
      !at->second.ending_cause.empty())
    return;
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
      if (const auto saved = journal->Save(entry); !saved)
        spdlog::error("{}", saved.error().message);
    }
  }
  auto transition = TransitionOf(entry, v1::FAULT_PHASE_VERIFIED);
  transition.set_time_unix_ns(view.clock->UnixNs());
  transition.set_time_monotonic_ns(Now());
  if (entry.applications() > 0)
    transition.set_message(fmt::format("put in force again {} time(s)", entry.applications()));
  Emit(std::move(transition));
  const bool holds = entry.state().contains("holds");
  if (FindFault(options.catalogue, entry.fault())->one_shot && !holds) (void)End(uid, "duration");
}

// ---- Life of one fault: out of force -----------------------------------------------------------

Result<void> FaultEngine::Impl::End(const std::string& uid, const std::string& cause,
                                    const std::string& failure) {
  const auto at = running.find(uid);
  if (at == running.end() || at->second.stage == Stage::kMeasuringAfter) return {};
  Running& fault = at->second;
  if (fault.stage == Stage::kMeasuringBefore) {  // nothing was changed or journalled yet
    const ReplySink reply = std::move(fault.reply);
    const v1::Command command = CommandOf(fault.entry, fault.command_id);
    running.erase(at);
    Refuse(command, reply,
           Error{ErrorCode::kUnavailable, "recovered before it was in force: " + cause}, true);
    return {};
  }
  RecoveryOrder order{uid, cause, "agent", failure, ++fault.attempts >= kAttemptsBeforeResidue};
  auto done = RecoverJournalled(*journal, order, options.catalogue, host);
  if (!done) {
    fault.ending_cause = cause;
    fault.next_attempt_ns = Now() + kRetryRecoveryNs * std::min(fault.attempts, 20);
    return std::unexpected(done.error());
  }
  fault.entry = *std::move(done);
  fault.stage = Stage::kMeasuringAfter;
  if (fault.left_over) --left_overs;
  if (fault.entry.has_after() || fault.entry.boot_id() != view.boot_id) {
    // Through the queue: at start-up this is not the engine's thread.
    tasks.TryPush(
        [this, entry = fault.entry, left_over = fault.left_over] { TellEnd(entry, left_over); });
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

// `tell_begin`: the run that began it may have died before it could tell; hearing it twice is
// harmless.
void FaultEngine::Impl::TellEnd(const v1::FaultJournalEntry& entry, bool tell_begin) {
  const bool failed = !entry.failure().empty();
  if (tell_begin && !failed) {
    auto begin = TransitionOf(entry, v1::FAULT_PHASE_INJECTED);
    if (entry.injected_unix_ns() == 0)
      begin.set_message("the agent died while it injected; in force at most from here");
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
    if (const auto at = running.find(uid);
        at != running.end() && at->second.stage == Stage::kMeasuringAfter) {
      TellEnd(at->second.entry, at->second.left_over);
    }
  }
}

void FaultEngine::Impl::Measure(const std::string& uid,
                                void (Impl::*then)(const std::string&, Result<v1::Effect>)) {
  // Both queues hold more than there can be faults: each has one measurement at a time, or two
  // while one is stale.
  auto measure = [this, uid, then, plan = PlanOf(running.at(uid).entry), seen = HostFor(uid)] {
    const auto fault = MakeFault(options.catalogue, plan.spec.fault);
    const auto effect = std::make_shared<Result<v1::Effect>>(fault->Verify(plan, seen));
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

}  // namespace faultline
