// The list of what is collected from the host, by name. A new leaf is one line in each of the two lists.
#include "agent/collectors/collector.h"

namespace faultline {

#define FAULTLINE_COLLECTOR(Make) \
  Result<std::unique_ptr<Collector>> Make(const LeafContext&)

FAULTLINE_COLLECTOR(MakeContainerCpu);
FAULTLINE_COLLECTOR(MakeContainerIo);
FAULTLINE_COLLECTOR(MakeContainerMemory);
FAULTLINE_COLLECTOR(MakeContainerNetwork);
FAULTLINE_COLLECTOR(MakeContainerPressure);
FAULTLINE_COLLECTOR(MakeContainerProcesses);
FAULTLINE_COLLECTOR(MakeLoadavg);

namespace {

constexpr CollectorRow kRows[] = {
    {"container_cpu", "CPU time, throttling and CPU limits of containers", true, false, MakeContainerCpu},
    {"container_io", "block I/O of containers by device", true, false, MakeContainerIo},
    {"container_memory", "memory of containers, limits, OOM events", true, false, MakeContainerMemory},
    {"container_network", "traffic of containers with a network of their own", true, false, MakeContainerNetwork},
    {"container_pressure", "pressure stall time of containers (v2)", true, false, MakeContainerPressure},
    {"container_processes", "processes, threads and start time of containers", true, false, MakeContainerProcesses},
    {"loadavg", "load averages, from /proc/loadavg", true, false, MakeLoadavg},
};

}  // namespace

std::span<const CollectorRow> CollectorCatalogue() { return kRows; }

}  // namespace faultline
