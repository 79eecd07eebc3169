// What faults on system calls have in common: whose calls, the tracing service, and what its counts
// say. What a fault does to a call is in its rules (syscall_tracer.h).
#pragma once

#include <memory>

#include "agent/faults/fault.h"
#include "agent/faults/fault_service.h"
#include "agent/faults/syscall_tracer.h"

namespace faultline {

class TracedFault : public Fault {
 public:
  Result<FaultPlan> Plan(const FaultSpec& spec, const FaultHost& host) override;
  Result<void> Inject(const FaultPlan& plan, const FaultHost& host) override;
  Result<v1::Effect> Verify(const FaultPlan& plan, const FaultHost& host) override;
  Result<void> Recover(const FaultPlan& plan, const FaultHost& host) override;
  std::vector<std::string> Residue(const FaultPlan& plan, const FaultHost& host) override;

 protected:
  // Checks the parameters; for people: "read fails with EIO".
  virtual Result<std::string> Describe(const FaultSpec& spec) const = 0;
};

// Serves the plan with these rules until it is told to stop.
Result<void> ServeTraced(const ServiceCall& call, CallRules& rules);

}  // namespace faultline
