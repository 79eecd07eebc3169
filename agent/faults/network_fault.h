// The life of every fault that a classifier on a network device brings about: which devices, whose
// packets, attaching and detaching. What is asked is in network_asked.h; a fault that measures its
// effect in its own way overrides Verify.
#pragma once

#include "agent/faults/fault.h"

namespace faultline {

class NetworkFault : public Fault {
 public:
  Result<FaultPlan> Plan(const FaultSpec& spec, const FaultHost& host) override;
  Result<void> Inject(const FaultPlan& plan, const FaultHost& host) override;
  Result<v1::Effect> Verify(const FaultPlan& plan, const FaultHost& host) override;
  Result<void> Recover(const FaultPlan& plan, const FaultHost& host) override;
  std::vector<std::string> Residue(const FaultPlan& plan, const FaultHost& host) override;
  std::vector<std::string> Sweep(const FaultHost& host) override;
};

}  // namespace faultline
