// Workers of ours in the cgroups of a target: what the stress faults share. plan.state["folders"]
// and
// ["child"] say where; the workers themselves are found by the fault's uid.
#pragma once

#include "agent/faults/fault.h"
#include "agent/faults/stress_worker.h"
#include "agent/faults/target_cgroups.h"

namespace faultline {

// The cgroups of the target in all hierarchies but the freezer (what is frozen cannot even be
// killed).
Result<std::vector<CgroupFolder>> PlanWorkerFolders(FaultPlan& plan, const FaultHost& host);
std::vector<CgroupFolder> WorkerFolders(const FaultPlan& plan);
// `count` workers as ordered, placed there; the uid, home and lifetime of the order are filled in.
Result<void> StartWorkers(const FaultPlan& plan, int64_t count, WorkerOrder order,
                          const FaultHost& host);
Result<void> RecoverWorkers(const FaultPlan& plan, const FaultHost& host);
std::vector<std::string> WorkerResidue(const FaultPlan& plan, const FaultHost& host);
// Cgroups that a crash left: named with the tag of this agent, of no fault in force.
std::vector<std::string> SweepWorkerCgroups(const FaultHost& host);

}  // namespace faultline
