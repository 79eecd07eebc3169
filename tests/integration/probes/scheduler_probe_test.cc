#include <sched.h>
#include <time.h>

#include "tests/support/own_cgroup.h"
#include "tests/support/probe_pass.h"

namespace faultline {
namespace {

constexpr int kSleeps = 40;
constexpr int64_t kSleepNs = 5'000'000;

int Sleep() {
  for (int i = 0; i < kSleeps; ++i) {
    timespec rest{0, kSleepNs};
    clock_nanosleep(CLOCK_MONOTONIC, 0, &rest, nullptr);
  }
  return 0;
}

class SchedulerProbeTest : public ProbePass {};

TEST_F(SchedulerProbeTest, SleepIsCountedToTheNanosecondAndWaitsForTheCpuOnceEach) {
  if (!Make("scheduler")) return;
  OwnCgroup cgroup(index_->mounts(), "sleep", {"memory"});
  ASSERT_TRUE(cgroup.ok());
  EXPECT_EQ(cgroup.Run(Sleep), 0);
  Collect();
  const double asleep =
      Value(cgroup.path(), R"(container_off_cpu_seconds_total{state="interruptible"})");
  // More only by what the timer is late; less only by what a busy CPU takes between the timer's start and the switch.
  EXPECT_GE(asleep, 0.9 * kSleeps * kSleepNs / 1e9);
  EXPECT_LT(asleep, 3 * kSleeps * kSleepNs / 1e9 + 5);
  // On a busy CPU a timer may be over before the switch: then nobody slept, nor waited.
  EXPECT_GE(Value(cgroup.path(), "container_run_queue_duration_seconds_count"), 0.9 * kSleeps);
  EXPECT_EQ(Value(cgroup.path(), "container_major_faults_total"), 0);
  ExpectBooksBalance("scheduler");
}

// Two that spin on one CPU take turns: each loses it against its will, and waits about half of the
// time.
TEST_F(SchedulerProbeTest, WhoSharesACpuWaitsAndIsPreempted) {
  if (!Make("scheduler")) return;
  OwnCgroup cgroup(index_->mounts(), "spin", {"memory"});
  ASSERT_TRUE(cgroup.ok());
  const auto spin = [] {
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(0, &one);
    sched_setaffinity(0, sizeof one, &one);
    timespec now{};
    do {
      clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    } while (now.tv_sec == 0 && now.tv_nsec < 200'000'000);
    return 0;
  };
  const pid_t first = cgroup.Start(spin), second = cgroup.Start(spin);
  EXPECT_EQ(cgroup.Wait(first), 0);
  EXPECT_EQ(cgroup.Wait(second), 0);
  Collect();
  EXPECT_GT(Value(cgroup.path(), "container_preemptions_total"), 2);
  EXPECT_GT(Value(cgroup.path(), "container_run_queue_duration_seconds_sum"), 0.1);
}

}  // namespace
}  // namespace faultline
