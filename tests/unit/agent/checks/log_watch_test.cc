// Log rules: matching, conditions and events, expiry, and what survives a restart.
#include "agent/checks/log_watch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <ctime>

#include "agent/checks/builtin_log_rules.h"
#include "agent/checks/go_time.h"
#include "tests/support/temp_tree.h"

namespace faultline {
namespace {

LogMonitor Monitor() {
  LogMonitor monitor;
  monitor.source = "kernel-monitor";
  monitor.plugin = "filelog";
  monitor.path = "/var/log/k.log";
  monitor.conditions = {{"KernelDeadlock", "NoDeadlock", "fine"}};
  monitor.rules = {{.rule = "npd/kernel-monitor/Oom",
                    .reason = "Oom",
                    .condition = "",
                    .pattern = "Killed process \\d+",
                    .module = "kernel-monitor"},
                   {.rule = "npd/kernel-monitor/Hung",
                    .reason = "Hung",
                    .condition = "KernelDeadlock",
                    .pattern = "task \\w+ blocked",
                    .kind = v1::CHECK_KIND_CONDITION,
                    .module = "kernel-monitor"},
                   {.rule = "npd/kernel-monitor/Two",
                    .reason = "Two",
                    .condition = "",
                    .pattern = "first\\nsecond",
                    .module = "kernel-monitor"}};
  return monitor;
}

class LogWatchTest : public ::testing::Test {
 protected:
  LogWatchTest() {
    host_ = HostView::Real(tree_.root(), &clock_);
    tree_.File("var/log/k.log", "");
    Open();
  }
  void Open() {
    watch_.reset();
    watch_ = std::make_unique<LogWatch>(
        host_, tree_.root() + "/state", 3600 * kNsPerSecond, 60 * kNsPerSecond,
        [this](v1::CheckResult result) { results_.push_back(std::move(result)); },
        [](const char*, uint64_t) {});
    watch_->SetMonitors({Monitor()});
  }
  void Write(const std::string& lines) {
    std::ofstream(tree_.root() + "/var/log/k.log", std::ios::app) << lines;
    watch_->Step();
  }
  std::vector<std::string> Take() {
    std::vector<std::string> told;
    for (const auto& result : results_) {
      told.push_back(fmt::format("{} {} {}", result.rule(), static_cast<int>(result.verdict()),
                                 result.count()));
    }
    results_.clear();
    return told;
  }

  TempTree tree_;
  ManualClock clock_{1'700'000'000 * kNsPerSecond};
  HostView host_;
  std::vector<v1::CheckResult> results_;
  std::unique_ptr<LogWatch> watch_;
};

const std::string kCondition = "npd/kernel-monitor/condition/KernelDeadlock";

TEST_F(LogWatchTest, ConditionIsSetOnceSurvivesARestartAndExpires) {
  EXPECT_THAT(Take(), ::testing::ElementsAre(kCondition + " 1 0"));  // ok at first
  Write("task docker blocked\n");
  EXPECT_THAT(Take(), ::testing::ElementsAre(kCondition + " 3 0"));
  Write("task docker blocked\n");
  EXPECT_TRUE(Take().empty());
  clock_.Advance(61 * kNsPerSecond);
  watch_->Step();
  EXPECT_THAT(Take(), ::testing::ElementsAre(kCondition + " 3 0"));  // told again
  watch_->Save();
  Open();
  EXPECT_THAT(Take(), ::testing::ElementsAre(kCondition + " 3 0"));  // still there
  Write("Killed process 1\n");
  EXPECT_THAT(Take(), ::testing::ElementsAre("npd/kernel-monitor/Oom 3 1"));
  watch_->Step();
  watch_->Save();
  Open();
  Take();
  watch_->Step();
  EXPECT_TRUE(Take().empty());  // lines are not read twice
  clock_.Advance(3600 * kNsPerSecond);
  watch_->Step();
  EXPECT_THAT(Take(), ::testing::ElementsAre(kCondition + " 1 0"));  // expired
}

TEST(GoTimeTest, LayoutsOfPublishedMonitors) {
  setenv("TZ", "UTC", 1);
  tzset();
  const int64_t now = 1'700'000'000 * kNsPerSecond;  // 2023-11-14 22:13:20
  const auto seconds = [&](std::string_view layout, std::string_view text) {
    const auto time = ParseGoTime(layout, text, now);
    return time ? static_cast<double>(*time) / kNsPerSecond : -1;
  };
  EXPECT_EQ(seconds("Jan _2 15:04:05", "Nov 14 22:13:19"), 1'699'999'999);
  EXPECT_EQ(seconds("Jan _2 15:04:05", "Nov  4 22:13:20"), 1'699'136'000);
  EXPECT_EQ(seconds("Jan _2 15:04:05", "Dec 31 00:00:00"), 1'672'444'800) << "of the year before";
  EXPECT_EQ(seconds("2006-01-02T15:04:05.999999999-07:00", "2023-11-15T00:13:20.5+02:00"),
            1'700'000'000.5);
  EXPECT_EQ(seconds("2006-01-02T15:04:05Z07:00", "2023-11-14T22:13:20Z"), 1'700'000'000);
  EXPECT_EQ(seconds("02/Jan/2006 03:04:05 PM", "14/Nov/2023 10:13:20 PM"), 1'700'000'000);
  EXPECT_EQ(seconds("Jan _2 15:04:05", "2023-11-14 22:1"), -1);
}

TEST_F(LogWatchTest, ALineIsReadAsItsMonitorSays) {
  setenv("TZ", "UTC", 1);
  tzset();
  clock_.Advance(std::chrono::system_clock::now().time_since_epoch().count() - clock_.UnixNs());
  const auto stamp = [&](int64_t seconds_ago) {
    const time_t at = clock_.UnixNs() / kNsPerSecond - seconds_ago;
    char text[32];
    strftime(text, sizeof(text), "%b %e %H:%M:%S", gmtime(&at));
    return std::string(text);
  };
  LogMonitor monitor = Monitor();
  monitor.path = "/var/log/stamped.log";
  monitor.timestamp_pattern = "^.{15}";
  monitor.timestamp_format = "Jan _2 15:04:05";
  monitor.message_pattern = "(kernel|daemon): (.*)";
  monitor.lookback_ns = 60 * kNsPerSecond;
  tree_.File("var/log/stamped.log", stamp(90'000) + " h kernel: Killed process 1\n" + stamp(2) +
                                        " h kernel: Killed process 2\n" + stamp(0) +
                                        " h other Killed process 3\nKilled process 4\n");
  watch_->SetMonitors({monitor});
  results_.clear();
  watch_->Step();
  clock_.Advance(2 * kNsPerSecond);
  watch_->Step();
  EXPECT_THAT(Take(), ::testing::ElementsAre("npd/kernel-monitor/Oom 3 1"))
      << "history within the lookback; what has no time or no message is passed over";
  LogMonitor journal = Monitor();
  journal.plugin = "journald";
  journal.unit = "dockerd";
  watch_->SetMonitors({journal});
  results_.clear();
  watch_->Offer("docker.service", "dockerd", "Killed process 5", clock_.UnixNs());
  watch_->Offer("web.service", "web", "Killed process 6", clock_.UnixNs());
  clock_.Advance(2 * kNsPerSecond);
  watch_->Step();
  EXPECT_THAT(Take(), ::testing::ElementsAre("npd/kernel-monitor/Oom 3 1"))
      << "who wrote it, not the unit's name";
}

TEST_F(LogWatchTest, EventsOfASecondAreFolded) {
  Take();
  std::string lines;
  for (int i = 0; i < 1000; ++i) lines += "Killed process 7\n";
  Write(lines);
  EXPECT_THAT(Take(), ::testing::ElementsAre("npd/kernel-monitor/Oom 3 1"));
  clock_.Advance(kNsPerSecond);
  watch_->Step();
  EXPECT_THAT(Take(), ::testing::ElementsAre("npd/kernel-monitor/Oom 3 999"));
}

TEST_F(LogWatchTest, PatternsMatchToTheEndAndOverLines) {
  Take();
  Write("Killed process 7 and more\n");  // not to the end
  EXPECT_TRUE(Take().empty());
  Write("first\n");
  EXPECT_TRUE(Take().empty());
  Write("second\n");
  EXPECT_THAT(Take(), ::testing::ElementsAre("npd/kernel-monitor/Two 3 1"));
}

TEST_F(LogWatchTest, RotationAndTruncationLoseNothing) {
  Take();
  std::filesystem::rename(tree_.root() + "/var/log/k.log", tree_.root() + "/var/log/k.log.1");
  tree_.File("var/log/k.log", "Killed process 1\n");
  watch_->Step();
  watch_->Step();
  EXPECT_EQ(Take().size(), 1u);
}

// A line as the kernel writes it, and the condition or event that must come of it.
struct Line {
  const char* text;
  const char* told;
};
constexpr Line kLines[] = {
    {"Kernel panic - not syncing: Attempted to kill init!", "KernelPanic"},
    {"BUG: unable to handle page fault for address: ffffffffc0", "KernelOops"},
    {"kernel BUG at mm/slub.c:305!", "KernelBug"},
    {"watchdog: BUG: soft lockup - CPU#3 stuck for 22s! [stress:4242]", "CpuLockup"},
    {"NMI watchdog: Watchdog detected hard LOCKUP on cpu 2", "CpuLockup"},
    {"rcu: INFO: rcu_sched self-detected stall on CPU", "RcuStall"},
    {"INFO: task jbd2/sda1-8:312 blocked for more than 120 seconds.", "KernelDeadlock"},
    {"unregister_netdevice: waiting for lo to become free. Usage count = 2", "UnregisterNetDevice"},
    {"Out of memory: Killed process 4242 (python) total-vm:1kB", "SystemOom"},
    {"Memory cgroup out of memory: Killed process 77 (java) total-vm:1kB", "CgroupOom"},
    {"EDAC MC0: 1 UE memory read error on CPU_SrcID#0", "MemoryUncorrectedErrors"},
    {"EDAC MC0: 2 CE memory read error on CPU_SrcID#0", "MemoryCorrected"},
    {"mce: [Hardware Error]: CPU 1: Machine check events logged", "MachineCheck"},
    {"CPU5: Package temperature above threshold, cpu clock throttled (total events = 1)",
     "CpuThrottled"},
    {"EXT4-fs (sda1): Remounting filesystem read-only", "ReadonlyFilesystem"},
    {"EXT4-fs error (device sda1): ext4_lookup:1590: inode #2: comm ls", "FilesystemErrors"},
    {"XFS (dm-0): Metadata I/O Error detected. Shutting down filesystem: dm-0", "XfsShutdown"},
    {"I/O error, dev sda, sector 16902 op 0x1:(WRITE)", "DiskErrors"},
    {"Buffer I/O error on dev loop0, logical block 2, lost async page write", "DiskErrors"},
    {"nvme nvme0: I/O 22 QID 3 timeout, aborting", "NvmeTimeout"},
    {"NETDEV WATCHDOG: eth0 (mlx5_core): transmit queue 3 timed out", "NetTransmitTimeout"},
    {"nf_conntrack: nf_conntrack: table full, dropping packet", "ConntrackFull"},
    {"TCP: request_sock_TCP: Possible SYN flooding on port 80. Sending cookies.", "SynFlood"},
    {"nfs: server 10.0.0.7 not responding, still trying", "NfsServerAway"},
    {"pcieport 0000:00:01.0: AER: Uncorrected (Fatal) error received: 0000:01:00.0",
     "PcieFatalError"},
    {"NVRM: Xid (PCI:0000:3b:00): 48, pid=1234, An uncorrectable double bit error", "GpuXidEcc"},
    {"NVRM: Xid (PCI:0000:3b:00): 79, pid=1234, GPU has fallen off the bus.", "GpuXidHardware"},
    {"NVRM: Xid (PCI:0000:3b:00): 13, pid=1234, Graphics Exception", "XidApplication"},
    {"nvidia-nvswitch0: SXid (PCI:0000:05:00.0): 20034, Fatal, Link 30 LTSSM Fault Up",
     "NvSwitchSxid"},
    {"python3[77]: segfault at 18 ip 00007f sp 00007f error 4 in libnccl.so.2.18.5[7f]",
     "NcclSegfault"},
    {"mlx5_core 0000:12:00.0: poll_health:739: device's health compromised - reached miss count",
     "IBErrors"},
};

TEST(BuiltinLogRules, KernelLinesAreKnownAndOthersAreNot) {
  const auto monitors = BuiltinLogMonitors({});
  ASSERT_EQ(monitors.size(), 1u);
  auto matcher = *LogMatcher::Create({&monitors[0]});
  for (const Line& line : kLines) {
    std::set<std::string> told;
    matcher->Feed(line.text, [&](const LogMonitor&, const LogRule& rule, std::string_view) {
      told.insert(rule.condition.empty() ? rule.reason : rule.condition);
    });
    EXPECT_TRUE(told.contains(line.told))
        << line.text << " told " << fmt::format("{}", fmt::join(told, " "));
  }
  for (const char* line :
       {"eth0: NIC Link is Up 10 Gbps Full Duplex",
        "systemd[1]: Started Daily apt upgrade and clean activities.",
        "usb 1-1: new high-speed USB device number 2", "audit: type=1400 apparmor=\"DENIED\"",
        "EXT4-fs (sda1): mounted filesystem"}) {
    matcher->Feed(line, [&](const LogMonitor&, const LogRule& rule, std::string_view) {
      ADD_FAILURE() << line << " told " << rule.rule;
    });
  }
  v1::ChecksConfig off;
  (*off.mutable_builtin())["kernel_log"].set_enabled(false);
  EXPECT_TRUE(BuiltinLogMonitors(off).empty());
}

}  // namespace
}  // namespace faultline
