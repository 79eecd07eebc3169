// What a network fault does, measured with probes of our own, and what follows from it.
#pragma once

#include "agent/faults/network_asked.h"

namespace faultline {

// Blocks for a second or two. Before the fault the numbers are the baseline and the verdict is
// false.
Result<v1::Effect> MeasureNetwork(const FaultPlan& plan, const NetworkAsked& asked,
                                  const FaultHost& host);

}  // namespace faultline
