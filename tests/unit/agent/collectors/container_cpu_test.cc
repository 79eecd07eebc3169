#include <gtest/gtest.h>

#include "tests/support/collector_pass.h"
#include "tests/support/temp_tree.h"

namespace faultline {
namespace {

TEST(ContainerCpuTest, V1) {
  TempTree tree;
  tree.File("/proc/self/mountinfo",
            "32 31 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n"
            "33 31 0:30 / /sys/fs/cgroup/cpuacct rw - cgroup cgroup rw,cpuacct\n");
  tree.File("/sys/fs/cgroup/cpuacct/web/cpuacct.usage", "2500000000\n");
  tree.File("/sys/fs/cgroup/cpuacct/web/cpuacct.stat", "user 150\nsystem 100\n");
  tree.File("/sys/fs/cgroup/cpu/web/cpu.shares", "1024\n");
  tree.File("/sys/fs/cgroup/cpu/web/cpu.cfs_period_us", "100000\n");
  tree.File("/sys/fs/cgroup/cpu/web/cpu.cfs_quota_us", "50000\n");
  tree.File("/sys/fs/cgroup/cpu/web/cpu.stat",
            "nr_periods 10\nnr_throttled 4\nthrottled_time 500000000\n");
  CollectorPass pass("container_cpu", tree.root());
  EXPECT_EQ(pass.Run(), R"(# TYPE container_cpu_cfs_periods_total counter
container_cpu_cfs_periods_total 10
# TYPE container_cpu_cfs_throttled_periods_total counter
container_cpu_cfs_throttled_periods_total 4
# TYPE container_cpu_cfs_throttled_seconds_total counter
container_cpu_cfs_throttled_seconds_total 0.5
# TYPE container_cpu_system_seconds_total counter
container_cpu_system_seconds_total 1
# TYPE container_cpu_usage_seconds_total counter
container_cpu_usage_seconds_total{cpu="total"} 2.5
# TYPE container_cpu_user_seconds_total counter
container_cpu_user_seconds_total 1.5
# TYPE container_spec_cpu_period gauge
container_spec_cpu_period 100000
# TYPE container_spec_cpu_quota gauge
container_spec_cpu_quota 50000
# TYPE container_spec_cpu_shares gauge
container_spec_cpu_shares 1024
)");
  EXPECT_EQ(pass.out.samples.front().origin.cgroup_path, "/web");
}

TEST(ContainerCpuTest, V2WithoutQuota) {
  TempTree tree;
  tree.File("/proc/self/mountinfo", "41 31 0:38 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n");
  tree.File(
      "/sys/fs/cgroup/web/cpu.stat",
      "usage_usec 2500000\nuser_usec 1500000\nsystem_usec 1000000\nnr_periods 0\nnr_throttled 0\n");
  tree.File("/sys/fs/cgroup/web/cpu.max", "max 100000\n");
  tree.File("/sys/fs/cgroup/web/cpu.weight", "100\n");
  CollectorPass pass("container_cpu", tree.root());
  EXPECT_EQ(pass.Run(), R"(# TYPE container_cpu_system_seconds_total counter
container_cpu_system_seconds_total 1
# TYPE container_cpu_usage_seconds_total counter
container_cpu_usage_seconds_total{cpu="total"} 2.5
# TYPE container_cpu_user_seconds_total counter
container_cpu_user_seconds_total 1.5
# TYPE container_spec_cpu_period gauge
container_spec_cpu_period 100000
# TYPE container_spec_cpu_shares gauge
container_spec_cpu_shares 2597
)");
}

TEST(ContainerCpuTest, ADyingCgroupIsSilent) {
  TempTree tree;
  tree.File("/proc/self/mountinfo", "41 31 0:38 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n");
  tree.Folder("/sys/fs/cgroup/web");
  CollectorPass pass("container_cpu", tree.root());
  EXPECT_EQ(pass.Run(), "");
}

TEST(ContainerCpuTest, WithoutCgroupsItSaysWhy) {
  TempTree tree;
  CollectorPass pass("container_cpu", tree.root());
  EXPECT_EQ(pass.Run(), "unsupported: containers are off, or no cgroup file system is mounted");
}

}  // namespace
}  // namespace faultline
