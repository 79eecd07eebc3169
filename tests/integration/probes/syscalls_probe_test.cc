#include <fcntl.h>
#include <sys/syscall.h>

#include "tests/support/own_cgroup.h"
#include "tests/support/probe_pass.h"

namespace faultline {
namespace {

constexpr int kCalls = 20'000;
constexpr int kFailures = 500;

int Generate() {
  for (int i = 0; i < kCalls; ++i) syscall(SYS_getppid);
  for (int i = 0; i < kFailures; ++i) open("/nonexistent/file", O_RDONLY);
  return 0;
}

class SyscallsProbeTest : public ProbePass {
 protected:
  void ExpectExact(const std::string& path) const {
    EXPECT_EQ(Value(path, R"(container_syscall_duration_seconds_count{syscall="getppid"})"),
              kCalls);
    EXPECT_EQ(
        Value(path, R"(container_syscall_duration_seconds_bucket{le="+Inf",syscall="getppid"})"),
        kCalls);
    EXPECT_GT(Value(path, R"(container_syscall_duration_seconds_sum{syscall="getppid"})"), 0);
    EXPECT_EQ(Value(path, R"(container_syscall_duration_seconds_count{syscall="openat"})"),
              kFailures);
    EXPECT_EQ(Value(path, R"(container_syscall_errors_total{errno="ENOENT",syscall="openat"})"),
              kFailures);
  }
};

TEST_F(SyscallsProbeTest, CountsExactlyByUnifiedCgroup) {
  if (!Make("syscalls")) return;
  if (index_->mounts().unified.empty()) GTEST_SKIP() << "no unified cgroup hierarchy";
  OwnCgroup cgroup(index_->mounts(), "both", {"cpu", "memory"});
  ASSERT_TRUE(cgroup.ok());
  EXPECT_EQ(cgroup.Run(Generate), 0);
  Collect();
  ExpectExact(cgroup.path());
  // A second generation adds up.
  EXPECT_EQ(cgroup.Run(Generate), 0);
  Collect();
  EXPECT_EQ(Value(cgroup.path(), R"(container_syscall_duration_seconds_count{syscall="getppid"})"),
            2 * kCalls);
}

TEST_F(SyscallsProbeTest, CountsExactlyByV1MemoryCgroup) {
  if (!Make("syscalls")) return;
  if (!index_->mounts().IsV1("memory")) GTEST_SKIP() << "no v1 memory hierarchy";
  OwnCgroup cgroup(index_->mounts(), "v1", {"memory"}, false);
  ASSERT_TRUE(cgroup.ok());
  EXPECT_EQ(cgroup.Run(Generate), 0);
  Collect();
  ExpectExact(cgroup.path());
}

TEST_F(SyscallsProbeTest, OnlySelectedCgroupsAreCountedAndTheBooksBalance) {
  if (!Make("syscalls")) return;
  OwnCgroup chosen(index_->mounts(), "chosen", {"memory"});
  OwnCgroup other(index_->mounts(), "other", {"memory"});
  ASSERT_TRUE(chosen.ok());
  ASSERT_TRUE(index_->Refresh());
  config_.mutable_probes()->mutable_syscalls()->add_cgroups(chosen.path());
  if (!Load("syscalls")) return;
  EXPECT_EQ(chosen.Run(Generate), 0);
  EXPECT_EQ(other.Run(Generate), 0);
  Collect();
  ExpectExact(chosen.path());
  EXPECT_EQ(Value(other.path(), R"(container_syscall_duration_seconds_count{syscall="getppid"})"),
            -1);
  ExpectBooksBalance("syscalls");
  // Nothing else is counted, so the books hold exactly what the chosen ones did.
  EXPECT_GE(Value("", R"(faultline_probe_produced_total{probe="syscalls"})"), kCalls + kFailures);
  EXPECT_LT(Value("", R"(faultline_probe_produced_total{probe="syscalls"})"),
            kCalls + kFailures + 100);
}

TEST_F(SyscallsProbeTest, ADeadCgroupIsForgotten) {
  if (!Make("syscalls")) return;
  std::string path;
  {
    OwnCgroup cgroup(index_->mounts(), "dead", {"memory"});
    path = cgroup.path();
    EXPECT_EQ(cgroup.Run(Generate), 0);
    Collect();
    ExpectExact(path);
  }
  Collect();
  Collect();
  EXPECT_EQ(Value(path, R"(container_syscall_duration_seconds_count{syscall="getppid"})"), -1);
}

}  // namespace
}  // namespace faultline
