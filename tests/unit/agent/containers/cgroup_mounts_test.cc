#include "agent/containers/cgroup_mounts.h"

#include <gtest/gtest.h>

namespace faultline {
namespace {

TEST(CgroupMountsTest, ReadsHybrid) {
  const CgroupMounts mounts = ParseCgroupMounts(
      "24 1 8:1 / / rw - ext4 /dev/root rw\n"
      "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup "
      "rw,cpu,cpuacct\n"
      "35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n"
      "36 31 0:33 / /sys/fs/cgroup/blkio rw,relatime - cgroup cgroup rw,blkio\n"
      "40 31 0:37 / /sys/fs/cgroup/systemd rw - cgroup cgroup "
      "rw,xattr,release_agent=/x,name=systemd\n"
      "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw,nsdelegate\n",
      "");
  EXPECT_EQ(mounts.unified, "/sys/fs/cgroup/unified");
  EXPECT_EQ(mounts.Folder("cpuacct", "/a/b"), "/sys/fs/cgroup/cpu,cpuacct/a/b");
  EXPECT_EQ(mounts.Folder("io", "/a"), "/sys/fs/cgroup/blkio/a");
  EXPECT_EQ(mounts.Folder("pids", "/a"), "/sys/fs/cgroup/unified/a");
  EXPECT_EQ(mounts.Folder("memory", "/"), "/sys/fs/cgroup/memory");
  EXPECT_TRUE(mounts.IsV1("name=systemd"));
  EXPECT_TRUE(mounts.IsV1("memory"));
  EXPECT_FALSE(mounts.IsV1("pids"));
}

TEST(CgroupMountsTest, ReadsUnified) {
  const CgroupMounts mounts = ParseCgroupMounts(
      "41 31 0:38 / /sys/fs/cgroup rw,relatime shared:4 - cgroup2 cgroup2 rw\n", "");
  EXPECT_EQ(mounts.Folder("memory", "/a"), "/sys/fs/cgroup/a");
  EXPECT_TRUE(mounts.v1.empty());
}

TEST(CgroupMountsTest, ReadsV1AndKnowsNoUnified) {
  const CgroupMounts mounts =
      ParseCgroupMounts("35 31 0:32 / /my\\040cgroups/memory rw - cgroup cgroup rw,memory\n", "");
  EXPECT_EQ(mounts.Folder("memory", "/a"), "/my cgroups/memory/a");
  EXPECT_EQ(mounts.Folder("cpu", "/a"), "");
}

TEST(CgroupMountsTest, StripsTheHostRoot) {
  EXPECT_EQ(ParseCgroupMounts("41 31 0:38 / /host/sys/fs/cgroup rw - cgroup2 cgroup2 rw\n", "/host")
                .unified,
            "/sys/fs/cgroup");
}

TEST(CgroupMountsTest, SurvivesNonsense) {
  const CgroupMounts mounts = ParseCgroupMounts("- cgroup\n - cgroup2\n\n1 2 3 - cgroup\nx", "");
  EXPECT_TRUE(mounts.v1.empty());
}

}  // namespace
}  // namespace faultline
