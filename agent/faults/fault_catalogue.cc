// What this agent can inject. One row per fault; the folder's README says how to add one.
#include "agent/faults/fault.h"

namespace faultline {

extern const FaultRow kContainerPause;
extern const FaultRow kCpuStress;
extern const FaultRow kPodFailure;
extern const FaultRow kProcessStop;

std::span<const FaultRow> FaultCatalogue() {
  // clang-format off
  static const FaultRow kRows[] = {
      kContainerPause,
      kCpuStress,
      kPodFailure,
      kProcessStop,
  };
  // clang-format on
  return kRows;
}

}  // namespace faultline
