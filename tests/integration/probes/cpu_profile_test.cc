// A process of a container's own that spins in one function for a known CPU time: its profile, by
// the kernel's clock.
#include "agent/probes/cpu_profile.h"

#include <gmock/gmock.h>
#include <sys/mman.h>
#include <time.h>

#include <atomic>
#include <cstdio>

#include "common/text.h"
#include "tests/support/own_cgroup.h"
#include "tests/support/probe_pass.h"

// C names, as this program's symbol table tells them.
extern "C" __attribute__((noinline)) void faultline_test_spin(int64_t cpu_ns) {
  timespec begin{}, now{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &begin);
  do {
    for (int i = 0; i < 1'000'000; ++i) asm volatile("" ::: "memory");
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  } while ((now.tv_sec - begin.tv_sec) * 1'000'000'000 + now.tv_nsec - begin.tv_nsec < cpu_ns);
}

namespace faultline {
namespace {

constexpr int64_t kSpinNs = 2 * kNsPerSecond;

class CpuProfileTest : public ProbePass {
 protected:
  CpuProfileTest() { config_.mutable_probes()->mutable_cpu_profile()->set_frequency_hz(99); }
  // Passes until the profile is there.
  Result<v1::CpuProfile> Await(int64_t duration_ns) {
    std::optional<Result<v1::CpuProfile>> result;
    CpuProfiler::Running()->Profile(duration_ns, [&](auto done) { result = std::move(done); });
    std::vector<LogChunk> logs;
    for (int pass = 0; pass < 600 && !result; ++pass) {
      (void)AwaitWake(100);
      Collect();
      std::move(out.logs.begin(), out.logs.end(), std::back_inserter(logs));
    }
    Collect();
    std::move(out.logs.begin(), out.logs.end(), std::back_inserter(logs));
    logs_ = std::move(logs);
    return result ? *std::move(result) : Fail(ErrorCode::kTimeout, "no profile came");
  }
  static const v1::ContainerStacks* Of(const v1::CpuProfile& profile, const std::string& cgroup) {
    for (const auto& container : profile.containers()) {
      if (container.subject().cgroup() == cgroup) return &container;
    }
    return nullptr;
  }
  std::vector<LogChunk> logs_;
};

TEST_F(CpuProfileTest, TellsWhereAContainerSpendsItsTime) {
  if (!Make("cpu_profile")) return;
  OwnCgroup cgroup(index_->mounts(), "profile", {"memory", "cpu"});
  ASSERT_TRUE(cgroup.ok());
  ASSERT_TRUE(index_->Refresh());
  auto* const took_ns = static_cast<std::atomic<int64_t>*>(
      mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  ASSERT_NE(took_ns, MAP_FAILED);
  const pid_t spinning = cgroup.Start([&] {
    const int64_t begin_ns = clock_.SteadyNs();
    faultline_test_spin(kSpinNs);
    *took_ns = clock_.SteadyNs() - begin_ns;
    return 0;
  });
  const auto profile = Await(6 * kNsPerSecond);  // it may have to share its CPU
  EXPECT_EQ(cgroup.Wait(spinning), 0);
  ASSERT_TRUE(profile) << profile.error().message;
  EXPECT_EQ(profile->frequency_hz(), 99);
  const v1::ContainerStacks* const mine = Of(*profile, cgroup.path());
  ASSERT_NE(mine, nullptr);
  // 99 a second of CPU, less what it burnt before the profile began. A machine that is a guest is
  // away now and then: its clock goes on, and the CPU time of tasks does not.
  const double least = 99.0 * kSpinNs / kNsPerSecond;
  const double most = 99.0 * static_cast<double>(took_ns->load()) / kNsPerSecond;
  std::printf("%lu samples, of %.0f by CPU time and %.0f by the clock\n",
              static_cast<unsigned long>(mine->samples()), least, most);
  EXPECT_GT(static_cast<double>(mine->samples()), 0.9 * least);
  EXPECT_LT(static_cast<double>(mine->samples()), 1.02 * most + 2);
  munmap(took_ns, 4096);
  uint64_t in_spin = 0, all = 0;
  for (const std::string& stack : mine->stacks()) {
    const uint64_t samples = ParseUint(stack.substr(stack.rfind(' ') + 1)).value_or(0);
    all += samples;
    if (stack.find(";faultline_test_spin") != stack.npos) in_spin += samples;
  }
  EXPECT_EQ(all, mine->samples());
  EXPECT_GT(in_spin, all * 95 / 100);
  EXPECT_NE(mine->stacks(0).find("OwnCgroup::Start("), std::string::npos) << mine->stacks(0);
  // What was told is what is stored.
  const auto stored = std::ranges::find_if(logs_, [&](const LogChunk& chunk) {
    return chunk.stream_labels ==
           decltype(chunk.stream_labels){{"container", cgroup.path().substr(1)},
                                         {"id", cgroup.path()},
                                         {"job", "cpu_profile"}};
  });
  ASSERT_NE(stored, logs_.end());
  EXPECT_EQ(stored->records.size(), static_cast<size_t>(mine->stacks_size()));
  EXPECT_EQ(stored->records[0].body, mine->stacks(0));
  ExpectBooksBalance("cpu_profile");
}

TEST_F(CpuProfileTest, NobodyAsksTwiceAndTheBooksBalanceInTheMiddle) {
  if (!Make("cpu_profile")) return;
  std::vector<std::string> answers;
  const auto ask = [&] {
    CpuProfiler::Running()->Profile(kNsPerSecond, [&](const Result<v1::CpuProfile>& done) {
      answers.push_back(done ? "done" : done.error().message);
    });
  };
  ask();
  ask();
  EXPECT_THAT(answers, testing::ElementsAre("a profile of this node is being made"));
  faultline_test_spin(kNsPerSecond / 2);
  ExpectBooksBalance("cpu_profile");
  EXPECT_GT(Value("", R"(faultline_probe_pending{probe="cpu_profile"})"), 0);
  // Whoever still waits is told when the probe goes.
  probe_.reset();
  EXPECT_EQ(answers.back(), "the probe cpu_profile was ended");
  EXPECT_EQ(CpuProfiler::Running(), nullptr);
}

TEST_F(CpuProfileTest, ProfilesWhenSomethingHasGoneWrongAndWithoutAnEnd) {
  config_.mutable_probes()->mutable_cpu_profile()->set_on_incident(true);
  config_.mutable_probes()->mutable_cpu_profile()->mutable_window()->set_nanos(200'000'000);
  if (!Make("cpu_profile")) return;
  const auto await_logs = [&](size_t wanted) {
    size_t seen = 0;
    for (int pass = 0; pass < 300 && seen < wanted; ++pass) {
      faultline_test_spin(kNsPerSecond / 20);  // something to see
      (void)AwaitWake(100);
      Collect();
      seen += out.logs.empty() ? 0 : 1;
    }
    return seen;
  };
  CpuProfiler::Running()->Incident();
  EXPECT_EQ(await_logs(1), 1);
  config_.mutable_probes()->mutable_cpu_profile()->set_continuous(true);
  probe_.reset();
  if (!Load("cpu_profile")) return;
  EXPECT_EQ(await_logs(3), 3);
}

}  // namespace
}  // namespace faultline
