// Undoing a journalled fault: the one function that both the agent and the guardian call, under the
// lock of the fault, so that it does not matter who comes first. And the words in which a journal
// entry is told to the aggregator.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "agent/faults/fault.h"
#include "agent/faults/fault_journal.h"
#include "common/result.h"

namespace faultline {

struct RecoveryOrder {
  std::string uid;
  std::string cause;            // cause_of_end of proto/faultline/v1/record.proto
  std::string by;               // agent, guardian
  std::string failure;          // set when Inject failed, and why
  bool accept_residue = false;  // done even if something is left; it is named in the entry
};

// nullptr: this catalogue has no such fault.
std::unique_ptr<Fault> MakeFault(std::span<const FaultRow> catalogue, std::string_view name);
FaultPlan PlanOf(const v1::FaultJournalEntry& entry);
// What the plan says goes into the entry, in place of an earlier one.
void SetPlan(v1::FaultJournalEntry& entry, const FaultPlan& plan);
// `host` as the fault `uid` sees it: with the plans of all others that are in force.
FaultHost WithOthers(const FaultHost& host, const FaultJournal& journal, std::string_view uid);

// Recover, audit, journal done; returns the entry as it is then. An entry that is done already is
// returned as it is. On error the entry is untouched: come again.
Result<v1::FaultJournalEntry> RecoverJournalled(const FaultJournal& journal,
                                                const RecoveryOrder& order,
                                                std::span<const FaultRow> catalogue,
                                                const FaultHost& host);

// One step of the fault's life with its stamps; `phase` INJECTED, VERIFIED, RECOVERED or FAILED.
v1::FaultTransition TransitionOf(const v1::FaultJournalEntry& entry, v1::FaultPhase phase);
v1::FaultStatus StatusOf(const v1::FaultJournalEntry& entry);

}  // namespace faultline
