#include "tests/support/collector_pass.h"
#include "tests/support/temp_tree.h"

namespace faultline {
namespace {

// One line of /proc/<pid>/stat: utime is field 14, threads 20, start 22, resident pages 24.
std::string Stat(int pid, const std::string& comm, char state, int utime, int start, int pages) {
  return fmt::format("{} ({}) {} 1 1 1 0 -1 0 0 0 0 0 {} 0 0 0 20 0 3 0 {} 4096 {} 0\n", pid, comm,
                     state, utime, start, pages);
}

class ProcessesTest : public ::testing::Test {
 protected:
  ProcessesTest() {
    tree_.File("/proc/stat", "cpu 1\nbtime 1000\n");
    Put(1, "init", 'S', 500, 0, 10);
    Put(7, "a) (b", 'R', 100, 200, 99);
    Put(9, "kthread", 'I', 0, 0, 0);
    config_.mutable_processes()->set_top(1);
  }
  void Put(int pid, const std::string& comm, char state, int utime, int start, int pages) {
    tree_.File(fmt::format("/proc/{}/stat", pid), Stat(pid, comm, state, utime, start, pages));
  }
  TempTree tree_;
  v1::AgentConfig config_;
};

TEST_F(ProcessesTest, FirstPassKnowsMemoryOnly) {
  CollectorPass pass("processes", tree_.root(), config_);
  const std::string text = pass.Run();
  EXPECT_NE(text.find("node_processes_pids 3\n"), std::string::npos) << text;
  EXPECT_NE(text.find("node_processes_threads 9\n"), std::string::npos);
  EXPECT_NE(text.find("node_processes_state{state=\"R\"} 1\n"), std::string::npos);
  const auto series = [](std::string_view name) {
    return fmt::format("{}{{comm=\"a) (b\",pid=\"7\"}}", name);
  };
  EXPECT_EQ(pass.out.Value(series("faultline_process_cpu_seconds_total")), 1);
  EXPECT_EQ(pass.out.Value(series("faultline_process_resident_memory_bytes")), 99 * 4096);
  EXPECT_EQ(pass.out.Value(series("faultline_process_threads")), 3);
  EXPECT_EQ(pass.out.Value(series("faultline_process_start_time_seconds")), 1002);
  EXPECT_EQ(text.find("init"), std::string::npos);
}

TEST_F(ProcessesTest, CpuTopIsWhatRanSinceLastPassAndLingers) {
  CollectorPass pass("processes", tree_.root(), config_);
  pass.Run();
  Put(1, "init", 'R', 650, 0, 10);
  Put(7, "a) (b", 'R', 110, 200, 99);
  pass.clock().Advance(kNsPerSecond);
  pass.Run();
  const std::string init = "faultline_process_cpu_seconds_total{comm=\"init\",pid=\"1\"}";
  EXPECT_EQ(pass.out.Value(init), 6.5);
  pass.clock().Advance(29 * kNsPerSecond);
  pass.Run();
  EXPECT_EQ(pass.out.Value(init), 6.5);
  pass.clock().Advance(2 * kNsPerSecond);
  pass.Run();
  EXPECT_EQ(pass.out.Value(init), std::nullopt);
}

TEST_F(ProcessesTest, ContainerIsNamedByPath) {
  tree_.File("/proc/self/mountinfo", "30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n");
  tree_.File("/sys/fs/cgroup/cgroup.controllers", "cpu memory pids\n");
  tree_.File("/sys/fs/cgroup/app/cgroup.procs", "7\n");
  tree_.File("/proc/7/cgroup", "0::/app\n");
  tree_.File("/proc/1/cgroup", "0::/\n");
  config_.mutable_processes()->set_top(2);
  CollectorPass pass("processes", tree_.root(), config_);
  pass.Run();
  size_t seen = 0;
  for (const auto& sample : pass.out.samples) {
    if (sample.name != "faultline_process_threads") continue;
    EXPECT_EQ(sample.origin.cgroup_path, sample.labels.at("pid") == "7" ? "/app" : "");
    ++seen;
  }
  EXPECT_EQ(seen, 2u);
}

TEST_F(ProcessesTest, IdleProcessThatWakesUpIsSeenWithinFourPasses) {
  CollectorPass pass("processes", tree_.root(), config_);
  for (int i = 0; i < 20; ++i) pass.Run();
  Put(1, "init", 'R', 900, 0, 10);
  const std::string init = "faultline_process_cpu_seconds_total{comm=\"init\",pid=\"1\"}";
  for (int i = 0; i < 4; ++i) pass.Run();
  EXPECT_EQ(pass.out.Value(init), 9);
}

TEST_F(ProcessesTest, ReusedPidIsAnotherProcess) {
  CollectorPass pass("processes", tree_.root(), config_);
  pass.Run();
  Put(1, "other", 'R', 900, 777,
      10);  // began later: its 900 ticks are not new work since the last pass
  pass.Run();
  EXPECT_EQ(pass.out.Text().find("other"), std::string::npos);
}

TEST_F(ProcessesTest, GoneProcessIsForgotten) {
  CollectorPass pass("processes", tree_.root(), config_);
  pass.Run();
  tree_.Remove("/proc/7");
  EXPECT_EQ(pass.Run().find("pid=\"7\""), std::string::npos);
}

TEST_F(ProcessesTest, OffByConfiguration) {
  config_.mutable_processes()->set_enabled(false);
  CollectorPass pass("processes", tree_.root(), config_);
  EXPECT_FALSE(pass.result());
}

TEST(Self, SaysWhatThisProcessUses) {
  CollectorPass pass("self", "/");
  pass.Run();
  EXPECT_GT(pass.out.Value("faultline_agent_resident_memory_bytes"), 1e6);
  EXPECT_GT(pass.out.Value("faultline_agent_proportional_memory_bytes"), 1e5);
  EXPECT_GE(pass.out.Value("faultline_agent_threads"), 1);
  EXPECT_GE(pass.out.Value("faultline_agent_cpu_seconds_total{mode=\"user\"}"), 0);
}

}  // namespace
}  // namespace faultline
