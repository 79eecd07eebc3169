// A value of which only one can hold (a limit, a quota, a sysctl), wanted by several faults: the
// newest in force has it, and when the last is gone what was there before the first comes back. The
// claim must be `control:PATH`; what each fault wants is in its plan.state[claim].
#pragma once

#include <string>

#include "agent/faults/fault.h"

namespace faultline {

// In Plan: names the claim and what this fault wants there.
void ClaimControl(FaultPlan& plan, const std::string& path, const std::string& wanted);
// In Inject: writes what this fault wants.
Result<void> ApplyControls(const FaultPlan& plan, const FaultHost& host);
// In Recover: what the newest of the others wants, else what was there before. A file that is gone
// is fine, and so is one that is already so.
Result<void> RestoreControls(const FaultPlan& plan, const FaultHost& host);

}  // namespace faultline
