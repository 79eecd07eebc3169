// Processes that no fault may stop or kill: without them nobody could undo anything, or the node
// would be lost.
#pragma once

#include <string>

#include "agent/faults/fault.h"
#include "agent/faults/process_identity.h"

namespace faultline {

// Why this process must not be touched; empty when it may be.
std::string WhyProtected(const LiveProcess& stat, const FaultHost& host);

}  // namespace faultline
