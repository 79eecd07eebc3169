#include "agent/probes/owner_directory.h"

#include <gtest/gtest.h>

#include "faultline/v1/config.pb.h"
#include "tests/support/temp_tree.h"

namespace faultline {
namespace {

using Standing = OwnerDirectory::Standing;

TEST(OwnerDirectoryTest, AKeyIsUnknownThenAliveThenGone) {
  TempTree tree;
  tree.File("/proc/self/mountinfo", "41 31 0:38 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n");
  tree.Folder("/sys/fs/cgroup/a");
  SystemClock clock;
  HostView host;
  host.fs = FsRoot(tree.root());
  host.clock = &clock;
  const v1::AgentConfig config;
  const auto index = std::move(*ContainerIndex::Create(host, config));
  ASSERT_TRUE(index->Refresh());
  const uint64_t key = index->KernelKeys("/a").at(0);

  OwnerDirectory owners(*index);
  owners.BeginPass();
  EXPECT_EQ(owners.Of(key).standing, Standing::kAlive);
  EXPECT_EQ(owners.Of(key).path, "/a");
  EXPECT_EQ(owners.Of(key ^ kV1KeyBit).standing, Standing::kUnknown);
  tree.Remove("/sys/fs/cgroup/a");
  ASSERT_TRUE(index->Refresh());
  EXPECT_EQ(owners.Of(key).standing, Standing::kAlive);  // one answer per pass
  owners.BeginPass();
  EXPECT_EQ(owners.Of(key).standing, Standing::kGone);
  EXPECT_EQ(owners.Of(key).path, "/a");
  for (uint64_t pass = 1; pass < OwnerDirectory::kPatiencePasses; ++pass) {
    EXPECT_EQ(owners.Of(key ^ kV1KeyBit).standing, Standing::kUnknown);
    owners.BeginPass();
  }
  EXPECT_EQ(owners.Of(key ^ kV1KeyBit).standing, Standing::kGivenUp);
}

}  // namespace
}  // namespace faultline
