// Reading this array is reading what is observed in the kernel, in alphabetical order.
#include "agent/probes/probe.h"

namespace faultline {

Result<std::unique_ptr<Collector>> MakeBlockIoProbe(const LeafContext&);
Result<std::unique_ptr<Collector>> MakeCpuProfile(const LeafContext&);
Result<std::unique_ptr<Collector>> MakeMemoryProbe(const LeafContext&);
Result<std::unique_ptr<Collector>> MakeOomProbe(const LeafContext&);
Result<std::unique_ptr<Collector>> MakeProcessesProbe(const LeafContext&);
Result<std::unique_ptr<Collector>> MakeProbeBudget(const LeafContext&);
Result<std::unique_ptr<Collector>> MakeRequestsProbe(const LeafContext&);
Result<std::unique_ptr<Collector>> MakeSchedulerProbe(const LeafContext&);
Result<std::unique_ptr<Collector>> MakeSyscallsProbe(const LeafContext&);
Result<std::unique_ptr<Collector>> MakeTcpProbe(const LeafContext&);
Result<std::unique_ptr<Collector>> MakeUdpProbe(const LeafContext&);

std::span<const CollectorRow> ProbeCatalogue() {
  static constexpr CollectorRow kRows[] = {
      {"block_io", "latency, size and errors of block I/O by device and container", true, false,
       MakeBlockIoProbe},
      {"cpu_profile", "stacks on the CPUs by container, when somebody asks, as log records", true, false,
       MakeCpuProfile},
      {"memory", "reclaim that tasks have to do themselves, by container", true, false,
       MakeMemoryProbe},
      {"oom", "processes killed for want of memory, with their container", true, false,
       MakeOomProbe},
      {"processes", "exec and exit of processes by container", true, false, MakeProcessesProbe},
      {"requests", "HTTP/1 requests and DNS queries as spans, by container and peer", true, false,
       MakeRequestsProbe},
      {"scheduler", "waiting for a CPU, sleep, preemption and major faults by container", true,
       false, MakeSchedulerProbe},
      {"syscalls", "duration and errors of system calls by container", true, false,
       MakeSyscallsProbe},
      {"tcp", "connections, bytes, round trips, retransmits and resets by container and peer", true,
       false, MakeTcpProbe},
      {"udp", "datagrams that full sockets lost, by container", true, false, MakeUdpProbe},
      // Last: it looks at all the others.
      {"budget", "what the probes cost; the most expensive is off while they cost too much", true,
       false, MakeProbeBudget},
  };
  return kRows;
}

}  // namespace faultline
