#include "agent/checks/builtin_log_rules.h"

#include <set>

namespace faultline {
namespace {

constexpr v1::CheckLevel kWarning = v1::CHECK_LEVEL_WARNING;
constexpr v1::CheckLevel kCritical = v1::CHECK_LEVEL_CRITICAL;
constexpr v1::CheckLevel kFatal = v1::CHECK_LEVEL_FATAL;

struct Row {
  const char* reason;
  const char* condition;  // empty: an event
  const char* module;
  v1::CheckLevel level;
  const char* pattern;
  const char* suggestion;
};

// XIDs by what Aegis and sichek make of them; 13, 31, 43 and 45 are the program's own faults.
constexpr Row kRows[] = {
    {"KernelPanic", "KernelPanic", "kernel", kFatal, R"(Kernel panic - not syncing)",
     "collect the crash dump"},
    {"KernelOops", "KernelOops", "kernel", kCritical,
     R"(^BUG: (unable to handle|kernel NULL pointer)|^Oops: |general protection fault(:|, )|^Unable to handle kernel)",
     "reboot when convenient; the kernel's state is in doubt"},
    {"KernelBug", "KernelBug", "kernel", kCritical, R"(^kernel BUG at )", "reboot when convenient"},
    {"SoftLockup", "CpuLockup", "kernel", kCritical,
     R"(watchdog: BUG: soft lockup|BUG: soft lockup - CPU)", ""},
    {"HardLockup", "CpuLockup", "kernel", kFatal,
     R"(NMI watchdog: Watchdog detected hard LOCKUP|hard LOCKUP on cpu)", ""},
    {"RcuStall", "RcuStall", "kernel", kCritical,
     R"(rcu: INFO: \S+ (self-)?detected (expedited )?stalls?)", ""},
    {"TaskHung", "KernelDeadlock", "kernel", kCritical,
     R"(task \S+:\d+ blocked for more than \d+ seconds)", "look at disks and mounts"},
    {"UnregisterNetDevice", "", "kernel", kWarning,
     R"(unregister_netdevice: waiting for \S+ to become free)", ""},
    {"SystemOom", "", "memory", kCritical, R"(^Out of memory: Kill(ed)? process)",
     "look at what uses the memory"},
    {"CgroupOom", "", "memory", kWarning, R"(^Memory cgroup out of memory: Kill(ed)? process)",
     "raise the limit or find the leak"},
    {"PageAllocationFailure", "", "memory", kWarning, R"(page allocation failure: order:)", ""},
    {"MemoryUncorrected", "MemoryUncorrectedErrors", "memory", kFatal,
     R"(EDAC \S+: \d+ UE |Uncorrected (hardware )?memory error|Memory failure: 0x)",
     "replace the module"},
    {"MemoryCorrected", "", "memory", kWarning, R"(EDAC \S+: \d+ CE |CE memory read error)", ""},
    {"MachineCheckFatal", "MachineCheck", "cpu", kFatal,
     R"(mce: \[Hardware Error\]: .*(Machine check|Uncorrected|Fatal)|\[Hardware Error\]: event severity: fatal)",
     "replace the hardware"},
    {"MachineCheckCorrected", "", "cpu", kWarning,
     R"(mce: \[Hardware Error\]|\[Hardware Error\]: event severity: corrected)", ""},
    {"CpuThrottled", "", "cpu", kWarning,
     R"(temperature above threshold, cpu clock (is )?throttled)", "look at cooling"},
    {"ReadonlyFilesystem", "ReadonlyFilesystem", "disk", kCritical,
     R"(Remounting filesystem read-only)", "check the filesystem"},
    {"Ext4Error", "FilesystemErrors", "disk", kCritical, R"(EXT4-fs error )",
     "check the filesystem"},
    {"XfsShutdown", "XfsShutdown", "disk", kCritical,
     R"(XFS .*(Shutting down filesystem|log I/O error))", "check the filesystem"},
    {"XfsCorruption", "FilesystemErrors", "disk", kCritical,
     R"(XFS .*(Metadata corruption|Corruption detected))", "check the filesystem"},
    {"BtrfsError", "FilesystemErrors", "disk", kCritical, R"(BTRFS (error|critical) )",
     "check the filesystem"},
    {"IoError", "DiskErrors", "disk", kCritical,
     R"(I/O error, dev \S+, sector|Buffer I/O error on )", "look at the disk's health"},
    {"NvmeTimeout", "NvmeTimeout", "disk", kCritical,
     R"(nvme nvme\d+: (I/O \d+ .*timeout|controller is down|Removing after probe failure))",
     "replace the disk"},
    {"AtaError", "", "disk", kWarning,
     R"(ata\d+(\.\d+)?: (exception Emask|failed command|hard resetting link))", ""},
    {"NetTransmitTimeout", "NetTransmitTimeout", "network", kCritical,
     R"(NETDEV WATCHDOG: .*transmit queue \d+ timed out)", ""},
    {"LinkDown", "", "network", kWarning, R"((NIC Link is Down|[Ll]ink (is )?[Dd]own$))", ""},
    {"ConntrackFull", "ConntrackFull", "network", kCritical,
     R"(nf_conntrack: (nf_conntrack: )?table full, dropping packet)", "raise nf_conntrack_max"},
    {"NeighbourTableFull", "", "network", kWarning, R"(neighbour: \S+ neighbor table overflow)",
     "raise gc_thresh3"},
    {"SynFlood", "", "network", kWarning, R"(Possible SYN flooding on port)", ""},
    {"NfsServerAway", "NfsServerAway", "filesystem", kCritical, R"(nfs: server \S+ not responding)",
     "look at the server"},
    {"PcieError", "", "pcie", kWarning,
     R"(AER: (Corrected|Multiple Corrected) error|PCIe Bus Error: severity=Corrected)", ""},
    {"PcieFatalError", "PcieFatalError", "pcie", kCritical,
     R"(AER: Uncorrected|PCIe Bus Error: severity=Uncorrected)", "seat the card again"},
    {"XidMemory", "GpuXidEcc", "gpu", kCritical, R"(NVRM: Xid \(PCI:[^)]*\): (48|63|64|92|94|95),)",
     "reset the GPU; if it comes again, replace it"},
    {"XidHardware", "GpuXidHardware", "gpu", kFatal,
     R"(NVRM: Xid \(PCI:[^)]*\): (61|62|69|74|79|109|119|120),)", "reset or power-cycle the node"},
    {"XidApplication", "", "gpu", kWarning, R"(NVRM: Xid \(PCI:[^)]*\): (13|31|43|45),)",
     "look at the program"},
    {"NvSwitchSxid", "NvSwitchSxid", "gpu", kFatal, R"(nvidia-nvswitch\d*: SXid \(PCI:)",
     "look at the fabric manager's log"},
    {"GpuResetRequired", "GpuResetRequired", "gpu", kFatal,
     R"(NV_ERR_RESET_REQUIRED|GPU has fallen off the bus)", "power-cycle the node"},
    {"NcclSegfault", "", "gpu", kWarning, R"(segfault at .* in libnccl\.so)",
     "look at the program"},
    {"MlxError", "IBErrors", "infiniband", kCritical,
     R"(mlx5_core .*(health compromised|device's health|firmware internal error|assert_var))",
     "power-cycle the node"},
    {"MlxCable", "", "infiniband", kWarning, R"(mlx5_core .*(Cable error|module \d+, Cable))",
     "look at the cable"},
};

}  // namespace

std::vector<LogMonitor> BuiltinLogMonitors(const v1::ChecksConfig& config) {
  const auto own = config.builtin().find("kernel_log");
  if (own != config.builtin().end() && own->second.has_enabled() && !own->second.enabled())
    return {};
  LogMonitor monitor;
  monitor.source = "kernel";
  monitor.contract = "log";
  monitor.plugin = "kmsg";
  monitor.path = "/dev/kmsg";
  if (own != config.builtin().end()) {
    if (const auto path = own->second.parameters().find("path");
        path != own->second.parameters().end()) {
      monitor.path = path->second;
      monitor.plugin = path->second == "/dev/kmsg" ? "kmsg" : "filelog";
    }
  }
  monitor.lookback_ns = 300 * kNsPerSecond;
  monitor.buffer_lines = 1;
  std::set<std::string> conditions;
  for (const Row& row : kRows) {
    LogRule rule;
    rule.rule = std::string("log/kernel/") + row.reason;
    rule.reason = row.reason;
    rule.condition = row.condition;
    rule.pattern = row.pattern;
    rule.kind = rule.condition.empty() ? v1::CHECK_KIND_EVENT : v1::CHECK_KIND_CONDITION;
    rule.level = row.level;
    rule.module = row.module;
    rule.suggestion = row.suggestion;
    rule.whole_line = false;
    if (!rule.condition.empty() && conditions.insert(rule.condition).second) {
      monitor.conditions.push_back(
          {rule.condition, "No" + rule.condition, "no such line in the kernel's log"});
    }
    monitor.rules.push_back(std::move(rule));
  }
  return {monitor};
}

}  // namespace faultline
