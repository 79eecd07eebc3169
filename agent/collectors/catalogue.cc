// Reading this array is reading what is collected, in alphabetical order. A new leaf is one line in
// each list.
#include "agent/collectors/collector.h"

namespace faultline {

#define FAULTLINE_COLLECTOR(Make) Result<std::unique_ptr<Collector>> Make(const LeafContext&)

FAULTLINE_COLLECTOR(MakeArp);
FAULTLINE_COLLECTOR(MakeConntrack);
FAULTLINE_COLLECTOR(MakeContainerCpu);
FAULTLINE_COLLECTOR(MakeContainerIo);
FAULTLINE_COLLECTOR(MakeContainerMemory);
FAULTLINE_COLLECTOR(MakeContainerNetwork);
FAULTLINE_COLLECTOR(MakeContainerPressure);
FAULTLINE_COLLECTOR(MakeContainerProcesses);
FAULTLINE_COLLECTOR(MakeCpu);
FAULTLINE_COLLECTOR(MakeDiskstats);
FAULTLINE_COLLECTOR(MakeEntropy);
FAULTLINE_COLLECTOR(MakeFilefd);
FAULTLINE_COLLECTOR(MakeFilesystem);
FAULTLINE_COLLECTOR(MakeLoadavg);
FAULTLINE_COLLECTOR(MakeMeminfo);
FAULTLINE_COLLECTOR(MakeNetclass);
FAULTLINE_COLLECTOR(MakeNetdev);
FAULTLINE_COLLECTOR(MakeNetstat);
FAULTLINE_COLLECTOR(MakeOs);
FAULTLINE_COLLECTOR(MakePressure);
FAULTLINE_COLLECTOR(MakeProcesses);
FAULTLINE_COLLECTOR(MakeSelf);
FAULTLINE_COLLECTOR(MakeSelinux);
FAULTLINE_COLLECTOR(MakeSockstat);
FAULTLINE_COLLECTOR(MakeSoftnet);
FAULTLINE_COLLECTOR(MakeStat);
FAULTLINE_COLLECTOR(MakeTextfile);
FAULTLINE_COLLECTOR(MakeTime);
FAULTLINE_COLLECTOR(MakeTimex);
FAULTLINE_COLLECTOR(MakeUdpQueues);
FAULTLINE_COLLECTOR(MakeUname);
FAULTLINE_COLLECTOR(MakeVmstat);

namespace {

constexpr bool kOn = true, kMayBlock = true;

constexpr CollectorRow kRows[] = {
    {"arp", "neighbours per device, from /proc/net/arp", kOn, !kMayBlock, MakeArp},
    {"conntrack", "connection tracking table, from /proc/sys/net/netfilter and /proc/net/stat", kOn,
     !kMayBlock, MakeConntrack},
    {"container_cpu", "CPU time, throttling and CPU limits of containers", kOn, !kMayBlock,
     MakeContainerCpu},
    {"container_io", "block I/O of containers by device", kOn, !kMayBlock, MakeContainerIo},
    {"container_memory", "memory of containers, limits, OOM events", kOn, !kMayBlock,
     MakeContainerMemory},
    {"container_network", "traffic of containers with a network of their own", kOn, !kMayBlock,
     MakeContainerNetwork},
    {"container_pressure", "pressure stall time of containers (v2)", kOn, !kMayBlock,
     MakeContainerPressure},
    {"container_processes", "processes, threads and start time of containers", kOn, !kMayBlock,
     MakeContainerProcesses},
    {"cpu",
     "seconds per CPU and mode, throttling, isolation, from /proc/stat and /sys/devices/system/cpu",
     kOn, !kMayBlock, MakeCpu},
    {"diskstats", "work of block devices, from /proc/diskstats and udev", kOn, !kMayBlock,
     MakeDiskstats},
    {"entropy", "randomness at hand, from /proc/sys/kernel/random", kOn, !kMayBlock, MakeEntropy},
    {"filefd", "open files of the node, from /proc/sys/fs/file-nr", kOn, !kMayBlock, MakeFilefd},
    {"filesystem", "size and use of mounted filesystems, from /proc/1/mounts and statfs", kOn,
     kMayBlock, MakeFilesystem},
    {"loadavg", "load averages, from /proc/loadavg", kOn, !kMayBlock, MakeLoadavg},
    {"meminfo", "use of memory, from /proc/meminfo", kOn, !kMayBlock, MakeMeminfo},
    {"netclass", "state of network devices, from /sys/class/net", kOn, !kMayBlock, MakeNetclass},
    {"netdev", "traffic of network devices, from /proc/net/dev", kOn, !kMayBlock, MakeNetdev},
    {"netstat", "counters of the IP stack, from /proc/net/{snmp,netstat,snmp6}", kOn, !kMayBlock,
     MakeNetstat},
    {"os", "the distribution, from os-release", kOn, !kMayBlock, MakeOs},
    {"pressure", "time lost waiting for CPU, disk and memory, from /proc/pressure", kOn, !kMayBlock,
     MakePressure},
    {"processes", "processes that use most CPU and memory, states of all, from /proc/<pid>/stat",
     kOn, !kMayBlock, MakeProcesses},
    {"self", "what the agent itself costs", kOn, !kMayBlock, MakeSelf},
    {"selinux", "SELinux mode, from /sys/fs/selinux", kOn, !kMayBlock, MakeSelinux},
    {"sockstat", "sockets by protocol, from /proc/net/sockstat", kOn, !kMayBlock, MakeSockstat},
    {"softnet", "network backlog per CPU, from /proc/net/softnet_stat", kOn, !kMayBlock,
     MakeSoftnet},
    {"stat", "interrupts, switches, forks, boot time, from /proc/stat", kOn, !kMayBlock, MakeStat},
    {"textfile", "metrics that other programs leave as *.prom files", kOn, !kMayBlock,
     MakeTextfile},
    {"time", "clock, time zone, clock sources", kOn, !kMayBlock, MakeTime},
    {"timex", "discipline of the clock, from adjtimex", kOn, !kMayBlock, MakeTimex},
    {"udp_queues", "bytes waiting in UDP sockets, from /proc/net/udp", kOn, !kMayBlock,
     MakeUdpQueues},
    {"uname", "kernel and machine, from uname", kOn, !kMayBlock, MakeUname},
    {"vmstat", "paging and OOM kills, from /proc/vmstat", kOn, !kMayBlock, MakeVmstat},
};

}  // namespace

std::span<const CollectorRow> CollectorCatalogue() { return kRows; }

}  // namespace faultline
