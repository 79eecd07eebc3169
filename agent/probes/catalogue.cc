// Reading this array is reading what is observed in the kernel, in alphabetical order.
#include "agent/probes/probe.h"

namespace faultline {

Result<std::unique_ptr<Collector>> MakeOomProbe(const LeafContext&);
Result<std::unique_ptr<Collector>> MakeProcessesProbe(const LeafContext&);
Result<std::unique_ptr<Collector>> MakeSyscallsProbe(const LeafContext&);
Result<std::unique_ptr<Collector>> MakeTcpProbe(const LeafContext&);

std::span<const CollectorRow> ProbeCatalogue() {
  static constexpr CollectorRow kRows[] = {
      {"oom", "processes killed for want of memory, with their container", true, false,
       MakeOomProbe},
      {"processes", "exec and exit of processes by container", true, false, MakeProcessesProbe},
      {"syscalls", "duration and errors of system calls by container", true, false,
       MakeSyscallsProbe},
      {"tcp", "connections, retransmits, resets and socket states by container", true, false,
       MakeTcpProbe},
  };
  return kRows;
}

}  // namespace faultline
