#include <gtest/gtest.h>

#include "tests/support/collector_pass.h"
#include "tests/support/temp_tree.h"

namespace faultline {
namespace {

TEST(ContainerMemoryTest, V1) {
  TempTree tree;
  tree.File("/proc/self/mountinfo",
            "35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n");
  const std::string folder = "/sys/fs/cgroup/memory/web/";
  tree.File(folder + "memory.usage_in_bytes", "1000\n");
  tree.File(folder + "memory.max_usage_in_bytes", "2000\n");
  tree.File(folder + "memory.limit_in_bytes", "4096\n");
  tree.File(folder + "memory.soft_limit_in_bytes", "9223372036854771712\n");
  tree.File(folder + "memory.failcnt", "3\n");
  tree.File(folder + "memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n");
  tree.File(folder + "memory.stat",
            "rss 1\ntotal_cache 300\ntotal_rss 500\ntotal_mapped_file 20\ntotal_swap "
            "7\ntotal_pgfault 11\n"
            "total_pgmajfault 1\ntotal_inactive_file 250\n");
  CollectorPass pass("container_memory", tree.root());
  EXPECT_EQ(pass.Run(), R"(# TYPE container_memory_cache gauge
container_memory_cache 300
# TYPE container_memory_failcnt counter
container_memory_failcnt 3
# TYPE container_memory_failures_total counter
container_memory_failures_total{failure_type="pgfault",scope="hierarchy"} 11
container_memory_failures_total{failure_type="pgmajfault",scope="hierarchy"} 1
# TYPE container_memory_mapped_file gauge
container_memory_mapped_file 20
# TYPE container_memory_max_usage_bytes gauge
container_memory_max_usage_bytes 2000
# TYPE container_memory_rss gauge
container_memory_rss 500
# TYPE container_memory_swap gauge
container_memory_swap 7
# TYPE container_memory_usage_bytes gauge
container_memory_usage_bytes 1000
# TYPE container_memory_working_set_bytes gauge
container_memory_working_set_bytes 750
# TYPE container_oom_events_total counter
container_oom_events_total 2
# TYPE container_spec_memory_limit_bytes gauge
container_spec_memory_limit_bytes 4096
# TYPE container_spec_memory_reservation_limit_bytes gauge
container_spec_memory_reservation_limit_bytes 0
)");
}

TEST(ContainerMemoryTest, V2) {
  TempTree tree;
  tree.File("/proc/self/mountinfo", "41 31 0:38 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n");
  const std::string folder = "/sys/fs/cgroup/web/";
  tree.File(folder + "memory.current", "1000\n");
  tree.File(folder + "memory.max", "max\n");
  tree.File(folder + "memory.swap.current", "0\n");
  tree.File(folder + "memory.events", "low 0\nhigh 0\nmax 5\noom 1\noom_kill 1\n");
  tree.File(folder + "memory.stat",
            "anon 500\nfile 300\nfile_mapped 20\ninactive_file 1250\npgfault 11\n");
  CollectorPass pass("container_memory", tree.root());
  pass.Run();
  EXPECT_EQ(pass.out.Value("container_memory_usage_bytes"), 1000);
  EXPECT_EQ(pass.out.Value("container_memory_working_set_bytes"), 0);
  EXPECT_EQ(pass.out.Value("container_memory_rss"), 500);
  EXPECT_EQ(pass.out.Value("container_memory_cache"), 300);
  EXPECT_EQ(pass.out.Value("container_spec_memory_limit_bytes"), 0);
  EXPECT_EQ(pass.out.Value("container_memory_failcnt"), 5);
  EXPECT_EQ(pass.out.Value("container_oom_events_total"), 1);
  EXPECT_EQ(pass.out.Value("container_memory_max_usage_bytes"), std::nullopt);
}

}  // namespace
}  // namespace faultline
