// Every condition is caused by a fixture (a host on which it is so), seen, cured and seen to be
// gone; and on a host that has no such thing it does not apply.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "agent/checks/builtin/check.h"
#include "tests/support/temp_tree.h"

namespace faultline {
namespace {

using Files = std::vector<std::pair<std::string, std::string>>;
using Parameters = std::map<std::string, std::string>;

struct Case {
  const char* name;
  Files before;  // the first look
  Files bad;     // what makes the problem
  Files good;    // what cures it
  Parameters parameters = {};
  bool takes_two_looks = false;
  v1::CheckVerdict verdict = v1::CHECK_VERDICT_UNSPECIFIED;  // unspecified: degraded or problem
};

const std::string kDisk = "   8       0 sda ";
std::string Stat(const char* pid, const char* comm, const char* state) {
  return fmt::format("{} ({}) {} 1 1 1 0 -1 0 0 0 0 0 5 5 0 0 20 0 1 0 100 0 0 0", pid, comm,
                     state);
}
std::string Meminfo(int total, int available) {
  return fmt::format(
      "MemTotal: {} kB\nMemFree: 1 kB\nMemAvailable: {} kB\nSwapTotal: 1000 kB\nSwapFree: {} "
      "kB\nDirty: {} kB\nWriteback: 0 kB\n",
      total, available, available, total - available);
}

std::vector<Case> Cases() {
  const std::string snmp = "Tcp: RtoAlgorithm OutSegs RetransSegs\nTcp: 1 {} {}\n";
  const auto tcp = [](int out, int again) {
    return fmt::format("Tcp: RtoAlgorithm OutSegs RetransSegs\nTcp: 1 {} {}\n", out, again);
  };
  const std::string eth = "sys/class/net/eth0/";
  const std::string ib = "sys/class/infiniband/mlx5_0/ports/1/";
  const std::string pci = "sys/bus/pci/devices/0000:3b:00.0/";
  const std::string cpufreq = "sys/devices/system/cpu/cpufreq/policy0/";
  const std::string edac = "sys/devices/system/edac/mc/mc0/";
  const std::string node0 = "sys/devices/system/node/node0/",
                    node1 = "sys/devices/system/node/node1/";
  return {
      {"cpu_load",
       {},
       {{"proc/loadavg", "90 40.0 9 1/100 1\n"}, {"proc/stat", "cpu 1\ncpu0 1\ncpu1 1\n"}},
       {{"proc/loadavg", "1 1 1 1/100 1\n"}}},
      {"cpu_online",
       {},
       {{"sys/devices/system/cpu/present", "0-3\n"}, {"sys/devices/system/cpu/online", "0-2\n"}},
       {{"sys/devices/system/cpu/online", "0-3\n"}}},
      {"cpu_governor",
       {},
       {{cpufreq + "scaling_governor", "powersave\n"}},
       {{cpufreq + "scaling_governor", "performance\n"}}},
      {"cpu_frequency",
       {},
       {{cpufreq + "scaling_max_freq", "1200000\n"}, {cpufreq + "cpuinfo_max_freq", "3000000\n"}},
       {{cpufreq + "scaling_max_freq", "3000000\n"}}},
      {"cpu_throttle",
       {{"sys/devices/system/cpu/cpu0/thermal_throttle/core_throttle_count", "3\n"}},
       {{"sys/devices/system/cpu/cpu0/thermal_throttle/core_throttle_count", "9\n"}},
       {}},
      {"cpu_temperature",
       {},
       {{"sys/class/hwmon/hwmon0/name", "coretemp\n"},
        {"sys/class/hwmon/hwmon0/temp1_input", "101000\n"},
        {"sys/class/hwmon/hwmon0/temp1_crit", "100000\n"}},
       {{"sys/class/hwmon/hwmon0/temp1_input", "50000\n"}}},
      {"cpu_steal",
       {{"proc/stat", "cpu 100 0 100 100 0 0 0 0\n"}},
       {{"proc/stat", "cpu 110 0 110 110 0 0 0 70\n"}},
       {{"proc/stat", "cpu 210 0 210 210 0 0 0 70\n"}}},
      {"memory_available",
       {},
       {{"proc/meminfo", Meminfo(1000, 20)}},
       {{"proc/meminfo", Meminfo(1000, 500)}}},
      {"memory_capacity",
       {},
       {{"proc/meminfo", Meminfo(500000, 1)}},
       {{"proc/meminfo", Meminfo(1000000, 1)}},
       {{"expected", "1000000KiB"}}},
      {"memory_ecc_corrected", {}, {{edac + "ce_count", "150\n"}}, {{edac + "ce_count", "1\n"}}},
      {"memory_ecc_uncorrected", {}, {{edac + "ue_count", "1\n"}}, {{edac + "ue_count", "0\n"}}},
      {"oom_kills", {{"proc/vmstat", "oom_kill 3\n"}}, {{"proc/vmstat", "oom_kill 5\n"}}, {}},
      {"swap_usage",
       {},
       {{"proc/meminfo", Meminfo(1000, 20)}},
       {{"proc/meminfo", Meminfo(1000, 900)}}},
      {"memory_dirty",
       {},
       {{"proc/meminfo", Meminfo(1000, 500)}},
       {{"proc/meminfo", Meminfo(1000, 990)}}},
      {"numa_balance",
       {{node0 + "meminfo", "Node 0 MemTotal: 100 kB\nNode 0 MemFree: 1 kB\n"},
        {node1 + "meminfo", "Node 1 MemTotal: 100 kB\nNode 1 MemFree: 90 kB\n"},
        {node0 + "numastat", "numa_hit 100\nnuma_miss 0\n"}},
       {{node0 + "numastat", "numa_hit 200\nnuma_miss 100\n"}},
       {{node0 + "numastat", "numa_hit 900\nnuma_miss 100\n"}}},
      {"disk_readonly",
       {},
       {{"proc/1/mounts", "/dev/sda1 / ext4 ro,relatime 0 0\n"},
        {"etc/fstab", "/dev/sda1 / ext4 errors=remount-ro 0 1\n"}},
       {{"proc/1/mounts", "/dev/sda1 / ext4 rw 0 0\n"}}},
      {"disk_latency",
       {{"sys/block/sda/size", "1\n"},
        {"proc/diskstats", kDisk + "100 0 8 100 100 0 8 100 0 0 0 0 0 0\n"}},
       {{"proc/diskstats", kDisk + "200 0 8 90000 200 0 8 90000 0 0 0 0 0 0\n"}},
       {{"proc/diskstats", kDisk + "300 0 8 90010 300 0 8 90010 0 0 0 0 0 0\n"}}},
      {"disk_errors",
       {{"sys/block/sda/device/ioerr_cnt", "0x3\n"}},
       {{"sys/block/sda/device/ioerr_cnt", "0x1f\n"}},
       {}},
      {"raid_degraded",
       {},
       {{"proc/mdstat",
         "Personalities : [raid1]\nmd0 : active raid1 sda1[0]\n      100 blocks super 1.2 [2/1] "
         "[U_]\n"}},
       {{"proc/mdstat",
         "md0 : active raid1 sda1[0] sdb1[1]\n      100 blocks super 1.2 [2/2] [UU]\n"}}},
      {"fs_errors",
       {},
       {{"sys/fs/ext4/sda1/errors_count", "4\n"}},
       {{"sys/fs/ext4/sda1/errors_count", "0\n"}}},
      {"mount_missing",
       {},
       {{"etc/fstab", "# x\n/dev/sdb1 /scratch xfs defaults 0 0\n"},
        {"proc/1/mounts", "/dev/sda1 / ext4 rw 0 0\n"}},
       {{"proc/1/mounts", "/dev/sda1 / ext4 rw 0 0\n/dev/sdb1 /scratch xfs rw 0 0\n"}}},
      {"net_link",
       {},
       {{eth + "device/vendor", "x"}, {eth + "flags", "0x1003\n"}, {eth + "carrier", "0\n"}},
       {{eth + "carrier", "1\n"}}},
      {"net_bond",
       {},
       {{"sys/class/net/bonding_masters", "bond0\n"},
        {"sys/class/net/bond0/bonding/slaves", "eth0 eth1\n"},
        {"sys/class/net/eth0/bonding_slave/mii_status", "up\n"},
        {"sys/class/net/eth1/bonding_slave/mii_status", "down\n"}},
       {{"sys/class/net/eth1/bonding_slave/mii_status", "up\n"}}},
      {"net_mtu",
       {},
       {{"sys/class/net/bond0/mtu", "9000\n"},
        {"sys/class/net/bond0/lower_eth0/x", ""},
        {eth + "mtu", "1500\n"}},
       {{eth + "mtu", "9000\n"}}},
      {"net_speed",
       {},
       {{eth + "device/vendor", "x"},
        {eth + "carrier", "1\n"},
        {eth + "speed", "1000\n"},
        {eth + "duplex", "full\n"}},
       {{eth + "speed", "100000\n"}},
       {{"speed", "25000"}}},
      {"net_errors",
       {{eth + "statistics/rx_errors", "0\n"}, {eth + "statistics/rx_packets", "0\n"}},
       {{eth + "statistics/rx_errors", "500\n"}, {eth + "statistics/rx_packets", "10000\n"}},
       {{eth + "statistics/rx_packets", "900000\n"}}},
      {"net_drops",
       {{eth + "statistics/rx_dropped", "0\n"}, {eth + "statistics/rx_packets", "0\n"}},
       {{eth + "statistics/rx_dropped", "5000\n"}, {eth + "statistics/rx_packets", "10000\n"}},
       {{eth + "statistics/rx_packets", "900000\n"}}},
      {"tcp_retransmits",
       {{"proc/net/snmp", tcp(0, 0)}},
       {{"proc/net/snmp", tcp(10000, 2000)}},
       {{"proc/net/snmp", tcp(30000, 2001)}}},
      {"tcp_listen_drops",
       {{"proc/net/netstat", "TcpExt: A ListenDrops\nTcpExt: 1 5\n"}},
       {{"proc/net/netstat", "TcpExt: A ListenDrops\nTcpExt: 1 500\n"}},
       {}},
      {"tcp_ports",
       {},
       {{"proc/sys/net/ipv4/ip_local_port_range", "1000\t1999\n"},
        {"proc/net/sockstat", "sockets: used 1\nTCP: inuse 900 orphan 0 tw 60 alloc 1 mem 1\n"}},
       {{"proc/net/sockstat", "TCP: inuse 10 orphan 0 tw 6\n"}}},
      {"conntrack",
       {},
       {{"proc/sys/net/netfilter/nf_conntrack_count", "99\n"},
        {"proc/sys/net/netfilter/nf_conntrack_max", "100\n"}},
       {{"proc/sys/net/netfilter/nf_conntrack_count", "9\n"}}},
      {"arp_table",
       {},
       {{"proc/sys/net/ipv4/neigh/default/gc_thresh3", "4\n"},
        {"proc/net/arp", "head\na\nb\nc\nd\n"}},
       {{"proc/net/arp", "head\na\n"}}},
      {"gateway",
       {},
       {{"proc/net/route", "Iface Destination Gateway\neth0\t00000000\t0100000A\n"},
        {"proc/net/arp", "IP HW Flags\n10.0.0.1 0x1 0x0 00:00 * eth0\n"}},
       {{"proc/net/arp", "IP HW Flags\n10.0.0.1 0x1 0x2 aa:bb * eth0\n"}}},
      {"kernel_taint",
       {},
       {{"proc/sys/kernel/tainted", "512\n"}},
       {{"proc/sys/kernel/tainted", "1\n"}}},
      {"hung_tasks",
       {{"proc/77/stat", Stat("77", "cp", "D")}},
       {{"proc/77/stat", Stat("77", "cp", "D")}},
       {{"proc/77/stat", Stat("77", "cp", "S")}}},
      {"sysctl_drift",
       {},
       {{"proc/sys/vm/swappiness", "60\n"}},
       {{"proc/sys/vm/swappiness", "10\n"}},
       {{"expected", "vm.swappiness=10"}}},
      {"cgroup_count",
       {},
       {{"proc/cgroups", "#subsys_name\thierarchy\tnum\tenabled\nmemory 4 90000 1\n"}},
       {{"proc/cgroups", "memory 4 90 1\n"}}},
      {"reboot", {}, {{"proc/uptime", "12.5 1\n"}}, {{"proc/uptime", "99999 1\n"}}},
      {"psi_cpu",
       {},
       {{"proc/pressure/cpu", "some avg10=99.00 avg60=95.00 avg300=1 total=1\n"}},
       {{"proc/pressure/cpu", "some avg10=0.00 avg60=1.00 avg300=1 total=1\n"}}},
      {"psi_memory",
       {},
       {{"proc/pressure/memory", "some avg10=99.00 avg60=55.00 avg300=1 total=1\n"}},
       {{"proc/pressure/memory", "some avg10=0.00 avg60=0.00 avg300=1 total=1\n"}}},
      {"psi_io",
       {},
       {{"proc/pressure/io", "some avg10=99.00 avg60=85.00 avg300=1 total=1\n"}},
       {{"proc/pressure/io", "some avg10=0.00 avg60=0.00 avg300=1 total=1\n"}}},
      {"clock_source",
       {},
       {{"sys/devices/system/clocksource/clocksource0/current_clocksource", "hpet\n"}},
       {{"sys/devices/system/clocksource/clocksource0/current_clocksource", "tsc\n"}}},
      {"ulimits",
       {},
       {{"proc/50/stat", Stat("50", "containerd", "S")},
        {"proc/50/limits",
         "Limit\nMax open files            1024                 4096                 files\n"}},
       {{"proc/50/limits",
         "Max open files            1048576              1048576              files\n"}}},
      {"zombies",
       {},
       {{"proc/51/stat", Stat("51", "sh", "Z")}},
       {{"proc/51/stat", Stat("51", "sh", "S")}},
       {{"warn", "1"}}},
      {"pid_usage",
       {},
       {{"proc/loadavg", "1 1 1 1/960 1\n"}, {"proc/sys/kernel/pid_max", "1000\n"}},
       {{"proc/loadavg", "1 1 1 1/96 1\n"}}},
      {"fd_usage",
       {},
       {{"proc/sys/fs/file-nr", "960\t0\t1000\n"}},
       {{"proc/sys/fs/file-nr", "9\t0\t1000\n"}}},
      {"pcie_link",
       {},
       {{pci + "class", "0x010802\n"},
        {pci + "current_link_width", "2\n"},
        {pci + "max_link_width", "4\n"}},
       {{pci + "current_link_width", "4\n"}}},
      {"iommu",
       {},
       {{pci + "vendor", "0x10de\n"},
        {pci + "class", "0x030200\n"},
        {"sys/class/iommu/dmar0/x", ""},
        {"proc/cmdline", "root=/dev/sda\n"}},
       {{"proc/cmdline", "iommu=pt\n"}}},
      {"nvidia_modules",
       {},
       {{pci + "vendor", "0x10de\n"}, {pci + "class", "0x030200\n"}, {"sys/module/nvidia/x", ""}},
       {{"sys/module/nvidia_uvm/x", ""}}},
      {"nvidia_fabric",
       {},
       {{pci + "vendor", "0x10de\n"}, {pci + "class", "0x068000\n"}},
       {{"proc/60/stat", Stat("60", "nv-fabricmanager", "S")}}},
      {"nvme_health",
       {},
       {{"sys/class/nvme/nvme0/state", "dead\n"}},
       {{"sys/class/nvme/nvme0/state", "live\n"}}},
      {"ib_state",
       {},
       {{ib + "state", "1: DOWN\n"}, {ib + "phys_state", "2: Polling\n"}},
       {{ib + "state", "4: ACTIVE\n"}, {ib + "phys_state", "5: LinkUp\n"}}},
      {"ib_rate",
       {},
       {{ib + "rate", "100 Gb/sec (4X EDR)\n"}},
       {{ib + "rate", "400 Gb/sec (4X NDR)\n"}},
       {{"rate", "400"}}},
      {"ib_counters",
       {{ib + "counters/link_downed", "1\n"}},
       {{ib + "counters/link_downed", "2\n"}},
       {}},
      {"ib_devices",
       {{ib + "state", "x"}, {"sys/class/infiniband/mlx5_1/x", ""}},
       {{"-sys/class/infiniband/mlx5_1", ""}},
       {{"sys/class/infiniband/mlx5_1/x", ""}}},
      {"gpfs", {}, {{"var/mmfs/x", ""}}, {{"proc/61/stat", Stat("61", "mmfsd", "S")}}},
      {"kubelet",
       {},
       {{"proc/62/stat", Stat("62", "kubelet", "S")}},
       {{"-proc/62", ""}},
       {{"port", "1"}}},
      {"kube_proxy",
       {},
       {{"proc/63/stat", Stat("63", "kube-proxy", "S")}},
       {{"-proc/63", ""}},
       {{"port", "1"}}},
      {"container_runtime",
       {},
       {{"run/containerd/containerd.sock", "no socket"}},
       {{"-run/containerd/containerd.sock", ""}}},
  };
}

class Detection : public ::testing::TestWithParam<Case> {
 protected:
  void Put(const Files& files) {
    for (const auto& [path, text] : files) {
      if (path.starts_with('-')) {
        tree_.Remove(path.substr(1));
      } else {
        tree_.File(path, text);
      }
    }
  }
  TempTree tree_;
  ManualClock clock_{1'700'000'000 * kNsPerSecond};
};

bool IsTrouble(const Finding& finding) {
  return finding.verdict == v1::CHECK_VERDICT_DEGRADED ||
         finding.verdict == v1::CHECK_VERDICT_PROBLEM;
}

TEST_P(Detection, AppearsAndClears) {
  const Case& one = GetParam();
  const CheckRow* row = FindCheck(one.name);
  ASSERT_NE(row, nullptr);
  const HostView host = HostView::Real(tree_.root(), &clock_);
  {
    const auto empty = *MakeCheck(*row, {});
    EXPECT_NE(empty->Evaluate(host).verdict, v1::CHECK_VERDICT_OK)
        << "a host that has no such thing is not ok";
  }
  const auto made = MakeCheck(*row, one.parameters);
  ASSERT_TRUE(made) << made.error().message;
  Put(one.before);
  if (!one.before.empty()) {
    EXPECT_FALSE(IsTrouble((*made)->Evaluate(host)));
  }
  Put(one.bad);
  const Finding bad = (*made)->Evaluate(host);
  EXPECT_TRUE(IsTrouble(bad)) << static_cast<int>(bad.verdict) << " " << bad.message;
  EXPECT_FALSE(bad.message.empty());
  Put(one.good);
  const Finding good = (*made)->Evaluate(host);
  EXPECT_FALSE(IsTrouble(good)) << good.message;
}

INSTANTIATE_TEST_SUITE_P(Builtin, Detection, ::testing::ValuesIn(Cases()),
                         [](const auto& one) { return std::string(one.param.name); });

// Those that the fixtures above cannot cause: they ask the kernel, a library or the network.
TEST(BuiltinChecks, TheOthersAnswerOnThisMachine) {
  const SystemClock clock;
  const HostView host = HostView::Real("/", &clock);
  for (const char* name : {"disk_space",        "disk_inodes",     "mount_hang",
                           "disk_smart",        "clock_sync",      "dns",
                           "node_latency",      "systemd_units",   "fd_processes",
                           "certificates",      "gpu_count",       "gpu_ecc",
                           "gpu_remapped_rows", "gpu_temperature", "gpu_throttle",
                           "gpu_nvlink",        "gpu_persistence", "gpu_clocks",
                           "gpu_pcie",          "gpu_hang",        "gpu_performance",
                           "gpu_power",         "gpu_driver"}) {
    const CheckRow* row = FindCheck(name);
    ASSERT_NE(row, nullptr) << name;
    const Finding finding = (*MakeCheck(*row, {}))->Evaluate(host);
    EXPECT_FALSE(finding.message.empty()) << name;
  }
}

TEST(BuiltinChecks, ThresholdsAndUnknownParameters) {
  const SystemClock clock;
  const HostView host = HostView::Real("/", &clock);
  const auto full = MakeCheck(*FindCheck("disk_space"), {{"warn", "0"}, {"crit", "101"}});
  const Finding finding = (*full)->Evaluate(host);
  EXPECT_TRUE(finding.verdict == v1::CHECK_VERDICT_DEGRADED ||
              finding.verdict == v1::CHECK_VERDICT_NOT_APPLICABLE);
  EXPECT_EQ(MakeCheck(*FindCheck("psi_io"), {{"worn", "1"}}).error().message,
            "psi_io: parameters.worn: unknown; there are: crit, warn");
  EXPECT_EQ(MakeCheck(*FindCheck("psi_io"), {{"warn", "much"}}).error().message,
            "psi_io: parameters.warn: `much` is no number");
  const auto peers = MakeCheck(*FindCheck("node_latency"), {{"peers", "127.0.0.1:1"}});
  EXPECT_EQ((*peers)->Evaluate(host).verdict, v1::CHECK_VERDICT_PROBLEM);
  const auto name = MakeCheck(*FindCheck("dns"), {{"name", "no-such-name.invalid"}});
  EXPECT_EQ((*name)->Evaluate(host).verdict, v1::CHECK_VERDICT_PROBLEM);
}

TEST(BuiltinChecks, CatalogueIsWhole) {
  std::set<std::string_view> names;
  for (const CheckRow& row : CheckCatalogue()) {
    EXPECT_TRUE(names.insert(row.name).second) << row.name;
    EXPECT_FALSE(row.condition.empty());
    EXPECT_GE(row.interval_s, 30) << row.name;
    EXPECT_TRUE(MakeCheck(row, {})) << row.name;
  }
  EXPECT_GE(names.size(), 60u);
}

}  // namespace
}  // namespace faultline
