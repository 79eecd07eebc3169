// Whom a fault hits when it hits processes: those of the target, each by an identity that cannot be
// mistaken, none of them protected.
#pragma once

#include <string>
#include <vector>

#include "agent/faults/fault.h"
#include "agent/faults/process_identity.h"
#include "agent/faults/target_cgroups.h"

namespace faultline {

// The processes of the target: its pid, those of its name, or all in and below its cgroup.
// kNotFound when there is none, kPermissionDenied when one is protected or the target is the whole
// node.
Result<std::vector<LiveProcess>> TargetProcesses(const v1::Subject& target, const FaultHost& host);
// Into plan.state["processes"] and plan.victims.
void NameVictims(const std::vector<LiveProcess>& processes, const FaultHost& host, FaultPlan& plan);
std::vector<ProcessIdentity> NamedVictims(const FaultPlan& plan);
// The target's folder in the hierarchy of `controller`; kUnsupported when it has none there.
Result<CgroupFolder> TargetFolder(const v1::Subject& target, std::string_view controller,
                                  const FaultHost& host, FaultPlan& plan);
// A container's pod: the cgroup that holds all containers of it; the target itself when it is in
// none.
Result<v1::Subject> PodOf(const v1::Subject& target, const FaultHost& host);

}  // namespace faultline
