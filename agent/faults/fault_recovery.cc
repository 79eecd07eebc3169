#include "agent/faults/fault_recovery.h"

#include <algorithm>

#include "agent/faults/claims.h"
#include "common/text.h"

namespace faultline {
namespace {

constexpr int64_t kLockTimeoutMs = 5000;

v1::FaultPhase PhaseOf(const v1::FaultJournalEntry& entry) {
  if (!entry.failure().empty()) return v1::FAULT_PHASE_FAILED;
  switch (entry.phase()) {
    case v1::FAULT_JOURNAL_PHASE_PLANNED:
      return v1::FAULT_PHASE_PLANNED;
    case v1::FAULT_JOURNAL_PHASE_ACTIVE:
      return entry.has_effect() ? v1::FAULT_PHASE_VERIFIED : v1::FAULT_PHASE_INJECTED;
    case v1::FAULT_JOURNAL_PHASE_DONE:
      return v1::FAULT_PHASE_RECOVERED;
    default:
      return v1::FAULT_PHASE_UNSPECIFIED;
  }
}

}  // namespace

std::unique_ptr<Fault> MakeFault(std::span<const FaultRow> catalogue, std::string_view name) {
  const FaultRow* row = FindFault(catalogue, name);
  return row == nullptr ? nullptr : row->make();
}

FaultPlan PlanOf(const v1::FaultJournalEntry& entry) {
  FaultPlan plan;
  plan.spec.uid = entry.fault_uid();
  plan.spec.experiment = entry.experiment();
  plan.spec.fault = entry.fault();
  plan.spec.parameters.insert(entry.parameters().begin(), entry.parameters().end());
  plan.spec.target = entry.target();
  plan.spec.duration_ms = entry.duration_ms();
  plan.victims.assign(entry.victims().begin(), entry.victims().end());
  plan.state.insert(entry.state().begin(), entry.state().end());
  plan.before.insert(entry.before().begin(), entry.before().end());
  plan.claims.insert(entry.claims().begin(), entry.claims().end());
  return plan;
}

void SetPlan(v1::FaultJournalEntry& entry, const FaultPlan& plan) {
  *entry.mutable_target() = plan.spec.target;
  entry.mutable_parameters()->clear();
  entry.mutable_parameters()->insert(plan.spec.parameters.begin(), plan.spec.parameters.end());
  entry.set_duration_ms(plan.spec.duration_ms);
  entry.clear_victims();
  for (const std::string& victim : plan.victims) entry.add_victims(ReplaceInvalidUtf8(victim));
  entry.mutable_state()->clear();
  entry.mutable_state()->insert(plan.state.begin(), plan.state.end());
  entry.mutable_claims()->clear();
  entry.mutable_claims()->insert(plan.claims.begin(), plan.claims.end());
}

FaultHost WithOthers(const FaultHost& host, const FaultJournal& journal, std::string_view uid) {
  FaultHost seen = host;
  seen.others.clear();
  auto contents = journal.LoadAll();
  if (!contents) return seen;
  auto& entries = contents->entries;
  // Monotonic stamps order the faults of one boot; those of an earlier boot are older.
  const std::string& boot = host.host->boot_id;
  std::sort(entries.begin(), entries.end(), [&](const auto& a, const auto& b) {
    return std::make_tuple(a.boot_id() == boot, a.planned_monotonic_ns()) <
           std::make_tuple(b.boot_id() == boot, b.planned_monotonic_ns());
  });
  for (const v1::FaultJournalEntry& entry : entries) {
    if (entry.fault_uid() == uid || entry.phase() == v1::FAULT_JOURNAL_PHASE_DONE) continue;
    seen.others.push_back(PlanOf(entry));
  }
  return seen;
}

Result<v1::FaultJournalEntry> RecoverJournalled(const FaultJournal& journal,
                                                const RecoveryOrder& order,
                                                std::span<const FaultRow> catalogue,
                                                const FaultHost& node) {
  FAULTLINE_ASSIGN(const JournalLock lock, journal.Lock(order.uid, kLockTimeoutMs));
  FAULTLINE_ASSIGN(v1::FaultJournalEntry entry, journal.Load(order.uid));
  if (entry.phase() == v1::FAULT_JOURNAL_PHASE_DONE) return entry;
  const std::unique_ptr<Fault> fault = MakeFault(catalogue, entry.fault());
  if (!fault) {
    return Fail(ErrorCode::kUnsupported, "fault {}: this program does not know {}", order.uid,
                entry.fault());
  }
  const FaultPlan plan = PlanOf(entry);
  const FaultHost host = WithOthers(node, journal, order.uid);
  FAULTLINE_TRY(fault->Recover(plan, host));
  entry.set_recovered_unix_ns(host.host->clock->UnixNs());
  entry.set_recovered_monotonic_ns(host.host->clock->SteadyNs());
  std::vector<std::string> residue = fault->Residue(plan, host);
  for (std::string& differing : CompareClaims(plan, host)) residue.push_back(std::move(differing));
  if (!residue.empty() && !order.accept_residue) {
    return Fail(ErrorCode::kInternal, "fault {}: {} is left after recovery", order.uid,
                residue.front());
  }
  entry.clear_residue();
  for (const std::string& left : residue) entry.add_residue(ReplaceInvalidUtf8(left));
  entry.set_cause_of_end(order.cause);
  entry.set_recovered_by(order.by);
  entry.set_failure(order.failure);
  entry.set_phase(v1::FAULT_JOURNAL_PHASE_DONE);
  FAULTLINE_TRY(journal.Save(entry));
  return entry;
}

v1::FaultTransition TransitionOf(const v1::FaultJournalEntry& entry, v1::FaultPhase phase) {
  v1::FaultTransition transition;
  transition.set_fault_uid(entry.fault_uid());
  transition.set_experiment(entry.experiment());
  transition.set_fault(entry.fault());
  transition.set_phase(phase);
  *transition.mutable_target() = entry.target();
  *transition.mutable_parameters() = entry.parameters();
  transition.set_time_unix_ns(entry.planned_unix_ns());
  transition.set_time_monotonic_ns(entry.planned_monotonic_ns());
  if (phase == v1::FAULT_PHASE_INJECTED && entry.injected_unix_ns() != 0) {
    transition.set_time_unix_ns(entry.injected_unix_ns());
    transition.set_time_monotonic_ns(entry.injected_monotonic_ns());
  }
  if (phase == v1::FAULT_PHASE_VERIFIED) *transition.mutable_effect() = entry.effect();
  if (phase == v1::FAULT_PHASE_RECOVERED || phase == v1::FAULT_PHASE_FAILED) {
    transition.set_time_unix_ns(entry.recovered_unix_ns());
    transition.set_time_monotonic_ns(entry.recovered_monotonic_ns());
    transition.set_cause_of_end(entry.cause_of_end());
    *transition.mutable_residue() = entry.residue();
    transition.set_message(entry.failure().empty()
                               ? fmt::format("recovered by the {}", entry.recovered_by())
                               : entry.failure());
    if (entry.has_after()) *transition.mutable_effect() = entry.after();
  }
  return transition;
}

v1::FaultStatus StatusOf(const v1::FaultJournalEntry& entry) {
  v1::FaultStatus status;
  status.set_fault_uid(entry.fault_uid());
  status.set_experiment(entry.experiment());
  status.set_fault(entry.fault());
  status.set_phase(PhaseOf(entry));
  *status.mutable_target() = entry.target();
  status.set_injected_unix_ns(entry.injected_unix_ns());
  status.set_deadline_unix_ns(entry.deadline_unix_ns());
  *status.mutable_effect() = entry.effect();
  *status.mutable_residue() = entry.residue();
  *status.mutable_victims() = entry.victims();
  if (entry.phase() == v1::FAULT_JOURNAL_PHASE_DONE) {
    status.set_message(
        entry.failure().empty()
            ? fmt::format("recovered by the {}: {}", entry.recovered_by(), entry.cause_of_end())
            : entry.failure());
  }
  return status;
}

}  // namespace faultline
