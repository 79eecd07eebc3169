#include <sys/mman.h>

#include <cstring>
#include <fstream>

#include "tests/support/own_cgroup.h"
#include "tests/support/probe_pass.h"

namespace faultline {
namespace {

constexpr size_t kLimitBytes = size_t{32} << 20;

// Touches more memory than the cgroup may have.
int Devour() {
  constexpr size_t kBytes = size_t{128} << 20;
  void* const memory =
      mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return 1;
  std::memset(memory, 1, kBytes);
  return 0;
}

class OomProbeTest : public ProbePass {};

TEST_F(OomProbeTest, AKillIsAnEventWithItsContainer) {
  if (!Make("oom")) return;
  OwnCgroup cgroup(index_->mounts(), "oom", {"memory"});
  ASSERT_TRUE(cgroup.ok());
  const bool is_v1 = index_->mounts().IsV1("memory");
  const std::string limit_file = index_->mounts().Folder("memory", cgroup.path()) +
                                 (is_v1 ? "/memory.limit_in_bytes" : "/memory.max");
  std::ofstream limit(limit_file);
  limit << kLimitBytes << std::flush;
  if (!limit) GTEST_SKIP() << "cannot limit memory: " << limit_file;
  ASSERT_TRUE(index_->Refresh());
  Collect();
  EXPECT_EQ(Value(cgroup.path(), "container_oom_kills_total"), 0);
  const pid_t victim = cgroup.Start(Devour);
  EXPECT_TRUE(AwaitWake(10'000));
  const int status = cgroup.Wait(victim);
  ASSERT_TRUE(WIFSIGNALED(status));
  EXPECT_EQ(WTERMSIG(status), SIGKILL);
  Collect();
  ASSERT_EQ(out.events.size(), 1u);
  const auto& [event, origin] = out.events.front();
  EXPECT_EQ(event.type(), "oom_kill");
  EXPECT_EQ(event.subject().pid(), static_cast<uint32_t>(victim));
  EXPECT_EQ(event.severity(), v1::SEVERITY_ERROR);
  EXPECT_EQ(origin.cgroup_path, cgroup.path());
  EXPECT_LT(std::abs(event.time_unix_ns() - clock_.UnixNs()), 10 * kNsPerSecond);
  bool told_limit = false;
  for (const auto& attribute : event.attributes()) {
    if (attribute.name() == "memory_limit_bytes")
      told_limit = attribute.value() == std::to_string(kLimitBytes);
  }
  EXPECT_TRUE(told_limit);
  EXPECT_EQ(Value(cgroup.path(), "container_oom_kills_total"), 1);
  ExpectBooksBalance("oom");
}

}  // namespace
}  // namespace faultline
