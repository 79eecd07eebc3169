// What this agent can inject. One row per fault; the folder's README says how to add one.
#include "agent/faults/fault.h"

namespace faultline {

std::unique_ptr<Fault> MakeCpuStress();
std::unique_ptr<Fault> MakeProcessStop();

std::span<const FaultRow> FaultCatalogue() {
  static constexpr FaultRow kRows[] = {
      {"cpu_stress", "Burns CPU inside the cgroups of the target.",
       "workers (1): how many; load (100): per cent of one CPU each", MakeCpuStress},
      {"process_stop", "Stops a container, a cgroup or processes, and lets them go on.", "none",
       MakeProcessStop},
  };
  return kRows;
}

}  // namespace faultline
