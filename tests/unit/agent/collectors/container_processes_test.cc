#include <gtest/gtest.h>

#include "tests/support/collector_pass.h"
#include "tests/support/temp_tree.h"

namespace faultline {
namespace {

TEST(ContainerProcessesTest, CountsProcessesAndThreads) {
  TempTree tree;
  tree.File("/proc/self/mountinfo",
            "37 31 0:35 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n");
  tree.File("/sys/fs/cgroup/pids/web/cgroup.procs", "5\n6\n");
  tree.File("/sys/fs/cgroup/pids/web/pids.current", "9\n");
  tree.File("/sys/fs/cgroup/pids/web/pids.max", "max\n");
  CollectorPass pass("container_processes", tree.root());
  pass.Run();
  EXPECT_EQ(pass.out.Value("container_processes"), 2);
  EXPECT_EQ(pass.out.Value("container_threads"), 9);
  EXPECT_EQ(pass.out.Value("container_threads_max"), 0);
  EXPECT_GT(pass.out.Value("container_start_time_seconds").value_or(0), 1e9);
}

}  // namespace
}  // namespace faultline
