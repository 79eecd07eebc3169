#include "agent/containers/cgroup_files.h"

#include <gtest/gtest.h>

#include "faultline/v1/config.pb.h"
#include "tests/support/temp_tree.h"

namespace faultline {
namespace {

class CgroupFilesTest : public testing::Test {
 protected:
  CgroupFilesTest() {
    host_.fs = FsRoot(tree_.root());
    host_.clock = &clock_;
    tree_.File("/proc/self/mountinfo",
               "35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
               "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n");
    index_ = std::move(*ContainerIndex::Create(host_, config_));
  }
  TempTree tree_;
  SystemClock clock_;
  HostView host_;
  v1::AgentConfig config_;
  std::unique_ptr<ContainerIndex> index_;
};

TEST_F(CgroupFilesTest, FindsTheHierarchyOfAController) {
  EXPECT_TRUE(CgroupFiles::Of(host_, index_.get(), "memory")->is_v1());
  EXPECT_FALSE(CgroupFiles::Of(host_, index_.get(), "pids")->is_v1());
  EXPECT_FALSE(CgroupFiles::Of(host_, index_.get(), "unified")->is_v1());
  EXPECT_EQ(CgroupFiles::Of(host_, nullptr, "memory").error().code, ErrorCode::kUnsupported);
}

TEST_F(CgroupFilesTest, ReadsAgainWhatChanged) {
  CgroupFiles files = std::move(*CgroupFiles::Of(host_, index_.get(), "memory"));
  EXPECT_EQ(files.ReadUint("/a", "x"), std::nullopt);
  tree_.File("/sys/fs/cgroup/memory/a/x", "1\n");
  EXPECT_EQ(files.ReadUint("/a", "x"), 1u);
  tree_.File("/sys/fs/cgroup/memory/a/x", "22\n");
  EXPECT_EQ(files.ReadUint("/a", "x"), 22u);
  tree_.File("/sys/fs/cgroup/memory/a/x", "max\n");
  EXPECT_EQ(files.ReadUint("/a", "x"), std::nullopt);
}

TEST_F(CgroupFilesTest, LongFilesComeWhole) {
  CgroupFiles files = std::move(*CgroupFiles::Of(host_, index_.get(), "memory"));
  const std::string text(50'000, 'x');
  tree_.File("/sys/fs/cgroup/memory/a/long", text);
  EXPECT_EQ(files.Read("/a", "long"), text);
  EXPECT_EQ(files.Read("/a", "long"), text);
}

TEST_F(CgroupFilesTest, WhatIsNotAskedForIsClosed) {
  CgroupFiles files = std::move(*CgroupFiles::Of(host_, index_.get(), "memory"));
  tree_.File("/sys/fs/cgroup/memory/a/x", "1\n");
  EXPECT_EQ(files.ReadUint("/a", "x"), 1u);
  const auto open_files = [] { return FsRoot("/").List("/proc/self/fd")->size(); };
  const size_t before = open_files();
  for (int pass = 0; pass < 40; ++pass) files.BeginPass();
  EXPECT_EQ(open_files(), before - 1);
}

TEST(CgroupFieldTest, WholeKeysOnly) {
  EXPECT_EQ(CgroupFiles::Field("rss_huge 5\nrss 7\n", "rss"), 7u);
  EXPECT_EQ(CgroupFiles::Field("rss", "rss"), std::nullopt);
  EXPECT_EQ(CgroupFiles::Field("rss x\n", "rss"), std::nullopt);
}

}  // namespace
}  // namespace faultline
