// Reading this array is reading what is observed in the kernel, in alphabetical order.
#include "agent/probes/probe.h"

namespace faultline {

Result<std::unique_ptr<Collector>> MakeSyscallsProbe(const LeafContext&);

std::span<const CollectorRow> ProbeCatalogue() {
  static constexpr CollectorRow kRows[] = {
      {"syscalls", "duration and errors of system calls by container", true, false, MakeSyscallsProbe},
  };
  return kRows;
}

}  // namespace faultline
