// Reading this array is reading what is collected, in alphabetical order. A new leaf is one line in
// each list.
#include "agent/collectors/collector.h"

namespace faultline {

#define FAULTLINE_COLLECTOR(Make) Result<std::unique_ptr<Collector>> Make(const LeafContext&)

FAULTLINE_COLLECTOR(MakeArp);
FAULTLINE_COLLECTOR(MakeBcache);
FAULTLINE_COLLECTOR(MakeBonding);
FAULTLINE_COLLECTOR(MakeBtrfs);
FAULTLINE_COLLECTOR(MakeConntrack);
FAULTLINE_COLLECTOR(MakeContainerCpu);
FAULTLINE_COLLECTOR(MakeContainerIo);
FAULTLINE_COLLECTOR(MakeContainerMemory);
FAULTLINE_COLLECTOR(MakeContainerNetwork);
FAULTLINE_COLLECTOR(MakeContainerPressure);
FAULTLINE_COLLECTOR(MakeContainerProcesses);
FAULTLINE_COLLECTOR(MakeCpu);
FAULTLINE_COLLECTOR(MakeCpufreq);
FAULTLINE_COLLECTOR(MakeDiskstats);
FAULTLINE_COLLECTOR(MakeDmi);
FAULTLINE_COLLECTOR(MakeEdac);
FAULTLINE_COLLECTOR(MakeEntropy);
FAULTLINE_COLLECTOR(MakeFibrechannel);
FAULTLINE_COLLECTOR(MakeFilefd);
FAULTLINE_COLLECTOR(MakeFilesystem);
FAULTLINE_COLLECTOR(MakeHwmon);
FAULTLINE_COLLECTOR(MakeInfiniband);
FAULTLINE_COLLECTOR(MakeIpvs);
FAULTLINE_COLLECTOR(MakeLoadavg);
FAULTLINE_COLLECTOR(MakeMdadm);
FAULTLINE_COLLECTOR(MakeMeminfo);
FAULTLINE_COLLECTOR(MakeNetclass);
FAULTLINE_COLLECTOR(MakeNetdev);
FAULTLINE_COLLECTOR(MakeNetstat);
FAULTLINE_COLLECTOR(MakeNfs);
FAULTLINE_COLLECTOR(MakeNfsd);
FAULTLINE_COLLECTOR(MakeNvme);
FAULTLINE_COLLECTOR(MakeOs);
FAULTLINE_COLLECTOR(MakePowerSupply);
FAULTLINE_COLLECTOR(MakePressure);
FAULTLINE_COLLECTOR(MakeProcesses);
FAULTLINE_COLLECTOR(MakeRapl);
FAULTLINE_COLLECTOR(MakeSchedstat);
FAULTLINE_COLLECTOR(MakeSelf);
FAULTLINE_COLLECTOR(MakeSelinux);
FAULTLINE_COLLECTOR(MakeSockstat);
FAULTLINE_COLLECTOR(MakeSoftnet);
FAULTLINE_COLLECTOR(MakeStat);
FAULTLINE_COLLECTOR(MakeTapestats);
FAULTLINE_COLLECTOR(MakeTextfile);
FAULTLINE_COLLECTOR(MakeThermalZone);
FAULTLINE_COLLECTOR(MakeTime);
FAULTLINE_COLLECTOR(MakeTimex);
FAULTLINE_COLLECTOR(MakeUdpQueues);
FAULTLINE_COLLECTOR(MakeUname);
FAULTLINE_COLLECTOR(MakeVmstat);
FAULTLINE_COLLECTOR(MakeXfs);
FAULTLINE_COLLECTOR(MakeZfs);

namespace {

constexpr bool kOn = true, kMayBlock = true;

constexpr CollectorRow kRows[] = {
    {"arp", "neighbours per device, from /proc/net/arp", kOn, !kMayBlock, MakeArp},
    {"bcache", "block caches, from /sys/fs/bcache", kOn, !kMayBlock, MakeBcache},
    {"bonding", "bonded network devices, from /sys/class/net", kOn, !kMayBlock, MakeBonding},
    {"btrfs", "btrfs filesystems, from /sys/fs/btrfs", kOn, !kMayBlock, MakeBtrfs},
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
    {"cpufreq", "frequencies of CPUs, from /sys/devices/system/cpu", kOn, !kMayBlock, MakeCpufreq},
    {"diskstats", "work of block devices, from /proc/diskstats and udev", kOn, !kMayBlock,
     MakeDiskstats},
    {"dmi", "what the firmware says of the machine, from /sys/class/dmi", kOn, !kMayBlock, MakeDmi},
    {"edac", "memory errors, from /sys/devices/system/edac", kOn, !kMayBlock, MakeEdac},
    {"entropy", "randomness at hand, from /proc/sys/kernel/random", kOn, !kMayBlock, MakeEntropy},
    {"fibrechannel", "Fibre Channel adapters, from /sys/class/fc_host", kOn, !kMayBlock,
     MakeFibrechannel},
    {"filefd", "open files of the node, from /proc/sys/fs/file-nr", kOn, !kMayBlock, MakeFilefd},
    {"filesystem", "size and use of mounted filesystems, from /proc/1/mounts and statfs", kOn,
     kMayBlock, MakeFilesystem},
    {"hwmon", "hardware sensors, from /sys/class/hwmon", kOn, !kMayBlock, MakeHwmon},
    {"infiniband", "InfiniBand ports, from /sys/class/infiniband", kOn, !kMayBlock, MakeInfiniband},
    {"ipvs", "IP virtual server, from /proc/net/ip_vs", kOn, !kMayBlock, MakeIpvs},
    {"loadavg", "load averages, from /proc/loadavg", kOn, !kMayBlock, MakeLoadavg},
    {"mdadm", "software RAID, from /proc/mdstat", kOn, !kMayBlock, MakeMdadm},
    {"meminfo", "use of memory, from /proc/meminfo", kOn, !kMayBlock, MakeMeminfo},
    {"netclass", "state of network devices, from /sys/class/net", kOn, !kMayBlock, MakeNetclass},
    {"netdev", "traffic of network devices, from /proc/net/dev", kOn, !kMayBlock, MakeNetdev},
    {"netstat", "counters of the IP stack, from /proc/net/{snmp,netstat,snmp6}", kOn, !kMayBlock,
     MakeNetstat},
    {"nfs", "NFS client calls, from /proc/net/rpc/nfs", kOn, !kMayBlock, MakeNfs},
    {"nfsd", "NFS server, from /proc/net/rpc/nfsd", kOn, !kMayBlock, MakeNfsd},
    {"nvme", "NVMe controllers, from /sys/class/nvme", kOn, !kMayBlock, MakeNvme},
    {"os", "the distribution, from os-release", kOn, !kMayBlock, MakeOs},
    {"powersupplyclass", "batteries and mains, from /sys/class/power_supply", kOn, !kMayBlock,
     MakePowerSupply},
    {"pressure", "time lost waiting for CPU, disk and memory, from /proc/pressure", kOn, !kMayBlock,
     MakePressure},
    {"processes", "processes that use most CPU and memory, states of all, from /proc/<pid>/stat",
     kOn, !kMayBlock, MakeProcesses},
    {"rapl", "energy used by the processor, from /sys/class/powercap", kOn, !kMayBlock, MakeRapl},
    {"schedstat", "time tasks ran and waited per CPU, from /proc/schedstat", kOn, !kMayBlock,
     MakeSchedstat},
    {"self", "what the agent itself costs", kOn, !kMayBlock, MakeSelf},
    {"selinux", "SELinux mode, from /sys/fs/selinux", kOn, !kMayBlock, MakeSelinux},
    {"sockstat", "sockets by protocol, from /proc/net/sockstat", kOn, !kMayBlock, MakeSockstat},
    {"softnet", "network backlog per CPU, from /proc/net/softnet_stat", kOn, !kMayBlock,
     MakeSoftnet},
    {"stat", "interrupts, switches, forks, boot time, from /proc/stat", kOn, !kMayBlock, MakeStat},
    {"tapestats", "work of tape drives, from /sys/class/scsi_tape", kOn, !kMayBlock, MakeTapestats},
    {"textfile", "metrics that other programs leave as *.prom files", kOn, !kMayBlock,
     MakeTextfile},
    {"thermal_zone", "temperatures and cooling, from /sys/class/thermal", kOn, !kMayBlock,
     MakeThermalZone},
    {"time", "clock, time zone, clock sources", kOn, !kMayBlock, MakeTime},
    {"timex", "discipline of the clock, from adjtimex", kOn, !kMayBlock, MakeTimex},
    {"udp_queues", "bytes waiting in UDP sockets, from /proc/net/udp", kOn, !kMayBlock,
     MakeUdpQueues},
    {"uname", "kernel and machine, from uname", kOn, !kMayBlock, MakeUname},
    {"vmstat", "paging and OOM kills, from /proc/vmstat", kOn, !kMayBlock, MakeVmstat},
    {"xfs", "XFS filesystems, from /sys/fs/xfs", kOn, !kMayBlock, MakeXfs},
    {"zfs", "ZFS pools and caches, from /proc/spl/kstat/zfs", kOn, !kMayBlock, MakeZfs},
};

}  // namespace

std::span<const CollectorRow> CollectorCatalogue() { return kRows; }

}  // namespace faultline
