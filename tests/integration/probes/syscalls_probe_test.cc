#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include <cstdio>
#include <cstdlib>

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

// A million calls a second for FAULTLINE_SECONDS (2), a pass of the probe every 100 ms meanwhile: the
// counts are equal to the generator's, and so is every error by its number.
TEST_F(SyscallsProbeTest, CountsAMillionCallsASecondToTheCall) {
  constexpr int64_t kPerMs = 1000;
  const char* const text = std::getenv("FAULTLINE_SECONDS");
  const int64_t wanted_ms = (text == nullptr ? 2 : std::atoi(text)) * 1000;
  if (!Make("syscalls")) return;
  OwnCgroup cgroup(index_->mounts(), "million", {"memory"});
  ASSERT_TRUE(cgroup.ok());
  auto* const took_ns = static_cast<int64_t*>(
      mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  ASSERT_NE(took_ns, MAP_FAILED);
  const pid_t child = cgroup.Start([&] {
    const int64_t begin_ns = clock_.SteadyNs();
    for (int64_t ms = 0; ms < wanted_ms; ++ms) {
      for (int64_t i = 0; i < kPerMs - 3; ++i) syscall(SYS_getppid);
      syscall(SYS_close, -1);                                // EBADF
      syscall(SYS_kill, INT32_MAX, 0);                       // ESRCH
      syscall(SYS_open, "/nonexistent/file", O_RDONLY);      // ENOENT
      // clock_gettime is no call here: the vDSO answers.
      while (clock_.SteadyNs() - begin_ns < ms * kNsPerMs) {
      }
    }
    *took_ns = clock_.SteadyNs() - begin_ns;
    return 0;
  });
  const int exited = static_cast<int>(syscall(SYS_pidfd_open, child, 0));
  pollfd watched{exited, POLLIN, 0};
  int passes = 0;
  for (; poll(&watched, 1, 100) == 0; ++passes) Collect();
  EXPECT_EQ(cgroup.Wait(child), 0);
  close(exited);
  Collect();
  std::printf("%ld calls in %.2f s, %d passes meanwhile\n", static_cast<long>(wanted_ms * kPerMs),
              static_cast<double>(*took_ns) / 1e9, passes);
  const auto calls = [&](const std::string& name) {
    return Value(cgroup.path(), "container_syscall_duration_seconds_count{syscall=\"" + name + "\"}");
  };
  const auto errors = [&](const std::string& number, const std::string& name) {
    return Value(cgroup.path(), "container_syscall_errors_total{errno=\"" + number +
                                    "\",syscall=\"" + name + "\"}");
  };
  EXPECT_EQ(calls("getppid"), wanted_ms * (kPerMs - 3));
  EXPECT_EQ(calls("close"), wanted_ms);
  EXPECT_EQ(errors("EBADF", "close"), wanted_ms);
  EXPECT_EQ(errors("ESRCH", "kill"), wanted_ms);
  EXPECT_EQ(errors("ENOENT", "open"), wanted_ms);
  ExpectBooksBalance("syscalls");
  munmap(took_ns, 4096);
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

// All are counted, one in 16 is timed.
TEST_F(SyscallsProbeTest, SampledCallsAreCountedExactly) {
  config_.mutable_probes()->mutable_syscalls()->set_timed_one_in(16);
  if (!Make("syscalls")) return;
  OwnCgroup cgroup(index_->mounts(), "sampled", {"memory"});
  ASSERT_TRUE(cgroup.ok());
  EXPECT_EQ(cgroup.Run(Generate), 0);
  Collect();
  EXPECT_EQ(Value(cgroup.path(), R"(container_syscalls_total{syscall="getppid"})"), kCalls);
  EXPECT_EQ(
      Value(cgroup.path(), R"(container_syscall_errors_total{errno="ENOENT",syscall="openat"})"),
      kFailures);
  const double timed =
      Value(cgroup.path(), R"(container_syscall_duration_seconds_count{syscall="getppid"})");
  EXPECT_GT(timed, kCalls / 16 / 2);
  EXPECT_LT(timed, kCalls / 16 * 2);
  ExpectBooksBalance("syscalls");
}

TEST_F(SyscallsProbeTest, OnlyChosenCallsAreCounted) {
  config_.mutable_probes()->mutable_syscalls()->add_calls("openat");
  if (!Make("syscalls")) return;
  OwnCgroup cgroup(index_->mounts(), "chosen-calls", {"memory"});
  ASSERT_TRUE(cgroup.ok());
  EXPECT_EQ(cgroup.Run(Generate), 0);
  Collect();
  EXPECT_EQ(Value(cgroup.path(), R"(container_syscall_duration_seconds_count{syscall="openat"})"),
            kFailures);
  EXPECT_EQ(Value(cgroup.path(), R"(container_syscall_duration_seconds_count{syscall="getppid"})"),
            -1);
  ExpectBooksBalance("syscalls");
}

TEST_F(SyscallsProbeTest, ACallThatDoesNotExistIsRefused) {
  config_.mutable_probes()->mutable_syscalls()->add_calls("opena");
  auto index = ContainerIndex::Create(host_, config_);
  if (!index) GTEST_SKIP() << index.error().message;
  for (const CollectorRow& row : ProbeCatalogue()) {
    if (row.name != "syscalls") continue;
    const auto made = row.make(LeafContext{host_, config_, index->get()});
    ASSERT_FALSE(made);
    EXPECT_EQ(made.error().message, "probes.syscalls.calls: there is no `opena`");
  }
}

TEST_F(SyscallsProbeTest, ASlowCallIsASpanWithItsFile) {
  config_.mutable_probes()->mutable_syscalls()->mutable_slow()->set_nanos(50'000'000);
  if (!Make("syscalls")) return;
  OwnCgroup cgroup(index_->mounts(), "slow", {"memory"});
  ASSERT_TRUE(cgroup.ok());
  ASSERT_TRUE(index_->Refresh());
  const std::string path = testing::TempDir() + "/faultline-slow-" + std::to_string(getpid());
  const int held = open(path.c_str(), O_CREAT | O_RDWR, 0600);
  ASSERT_GE(held, 0);
  ASSERT_EQ(flock(held, LOCK_EX), 0);
  int ready[2];
  ASSERT_EQ(pipe(ready), 0);
  const pid_t child = cgroup.Start([&] {
    const int mine = open(path.c_str(), O_RDWR);
    if (write(ready[1], "x", 1) != 1) return 1;
    return flock(mine, LOCK_EX) == 0 ? 0 : 2;  // until the holder lets go
  });
  char byte;
  ASSERT_EQ(read(ready[0], &byte, 1), 1);
  usleep(200'000);
  flock(held, LOCK_UN);
  // Others on this machine have slow calls too.
  EXPECT_EQ(cgroup.Wait(child), 0);
  std::optional<v1::Span> found;
  for (int attempt = 0; attempt < 20 && !found; ++attempt) {
    if (attempt > 0) (void)AwaitWake(10'000);
    Collect();
    for (const auto& [span, origin] : out.spans) {
      if (span.name() == "flock" && origin.cgroup_path == cgroup.path()) found = span;
    }
  }
  ASSERT_TRUE(found);
  EXPECT_GE(found->end_unix_ns() - found->start_unix_ns(), 100'000'000);
  std::string file;
  for (const auto& attribute : found->attributes()) {
    if (attribute.name() == "file.path") file = attribute.value();
  }
  EXPECT_TRUE(file.ends_with(path.substr(path.rfind('/')))) << file;
  unlink(path.c_str());
  for (const int open_file : {held, ready[0], ready[1]}) close(open_file);
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
