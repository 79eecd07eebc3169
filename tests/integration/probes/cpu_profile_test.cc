// A process in a cgroup of its own that spins in one function: its profile beside the CPU time that
// the kernel says it has used.
#include "agent/probes/cpu_profile.h"

#include <gmock/gmock.h>
#include <time.h>

#include <algorithm>
#include <cmath>
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

class CpuProfileTest : public ProbePass {
 protected:
  CpuProfileTest() { config_.mutable_probes()->mutable_cpu_profile()->set_frequency_hz(99); }
  // Passes until the profile is there, noting meanwhile what CPU time `process` has used.
  Result<v1::CpuProfile> Await(int64_t duration_ns, pid_t process) {
    clockid_t cpu_clock{};
    clock_getcpuclockid(process, &cpu_clock);
    const auto note = [&] {
      timespec used{};
      clock_gettime(cpu_clock, &used);
      used_.push_back({static_cast<double>(clock_.UnixNs()),
                       static_cast<double>(used.tv_sec) + static_cast<double>(used.tv_nsec) / 1e9});
    };
    std::optional<Result<v1::CpuProfile>> result;
    note();
    CpuProfiler::Running()->Profile(duration_ns, [&](auto done) { result = std::move(done); });
    for (int pass = 0; pass < 600 && !result; ++pass) {
      (void)AwaitWake(50);
      note();
      Collect();
      std::move(out.logs.begin(), out.logs.end(), std::back_inserter(logs_));
    }
    Collect();
    std::move(out.logs.begin(), out.logs.end(), std::back_inserter(logs_));
    return result ? *std::move(result) : Fail(ErrorCode::kTimeout, "no profile came");
  }
  double UsedAt(int64_t unix_ns) const {
    const auto at = static_cast<double>(unix_ns);
    const auto after = std::ranges::lower_bound(used_, at, {}, &Used::unix_ns);
    if (after == used_.begin() || after == used_.end()) return used_.empty() ? 0 : used_.back().cpu_s;
    const Used& before = after[-1];
    return before.cpu_s + (after->cpu_s - before.cpu_s) * (at - before.unix_ns) /
                              (after->unix_ns - before.unix_ns);
  }
  static const v1::ContainerStacks* Of(const v1::CpuProfile& profile, const std::string& cgroup) {
    for (const auto& container : profile.containers()) {
      if (container.subject().cgroup() == cgroup) return &container;
    }
    return nullptr;
  }
  struct Used {
    double unix_ns;
    double cpu_s;
  };
  std::vector<Used> used_;
  std::vector<LogChunk> logs_;
};

TEST_F(CpuProfileTest, TellsWhereAContainerSpendsItsTime) {
  if (!Make("cpu_profile")) return;
  OwnCgroup cgroup(index_->mounts(), "profile", {"memory", "cpu"});
  ASSERT_TRUE(cgroup.ok());
  ASSERT_TRUE(index_->Refresh());
  const pid_t spinning = cgroup.Start([] {
    faultline_test_spin(INT64_MAX);
    return 0;
  });
  const auto result = Await(3 * kNsPerSecond, spinning);
  kill(spinning, SIGKILL);
  cgroup.Wait(spinning);
  ASSERT_TRUE(result) << result.error().message;
  const v1::CpuProfile& profile = *result;
  EXPECT_EQ(profile.frequency_hz(), 99);
  const v1::ContainerStacks* const mine = Of(profile, cgroup.path());
  ASSERT_NE(mine, nullptr);
  // 99 a second of CPU; of a few, chance decides.
  const double expected =
      99 * (UsedAt(profile.end_unix_ns()) - UsedAt(profile.begin_unix_ns()));
  std::printf("%lu samples, of %.1f by CPU time\n", static_cast<unsigned long>(mine->samples()),
              expected);
  EXPECT_NEAR(static_cast<double>(mine->samples()), expected,
              0.1 * expected + 2 * std::sqrt(expected));
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
