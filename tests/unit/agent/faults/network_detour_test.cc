// When a packet may go on, and whose packets are meant.
#include "agent/faults/network_detour.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

namespace faultline {
namespace {

constexpr int64_t kMs = 1'000'000;

TEST(NetworkAsked, RemotesAreAddressesPrefixesAndPorts) {
  for (const char* good : {"1.1.1.1", "1.1.1.1:80", "10.0.0.0/8:22", "0.0.0.0/0", "fd00::1",
                           "fd00::/64", "[fd00::1]:443"}) {
    const auto remote = ParseRemote(good);
    ASSERT_TRUE(remote) << good;
    EXPECT_EQ(FormatRemote(*remote), good);
  }
  for (const char* bad : {"", "1.1.1", "1.1.1.1:0", "1.1.1.1:70000", "1.1.1.1/33", "example.com",
                          "[fd00::1", "fd00::/129", "1.1.1.1/x"}) {
    EXPECT_FALSE(ParseRemote(bad)) << bad;
  }
}

TEST(DetourSchedule, DelayIsConstantWithoutJitterAndInOrder) {
  NetworkAsked asked;
  asked.latency_ns = 20 * kMs;
  DetourSchedule schedule(asked, 1);
  for (int64_t now = 0; now < 100 * kMs; now += kMs)
    EXPECT_EQ(schedule.Release(now, 1500), now + 20 * kMs);
}

TEST(DetourSchedule, JitterStaysInItsBoundsWhateverTheCorrelation) {
  for (const double correlation : {0.0, 25.0, 90.0}) {
    NetworkAsked asked;
    asked.latency_ns = 90 * kMs;
    asked.jitter_ns = 90 * kMs;
    asked.delay_correlation_percent = correlation;
    DetourSchedule schedule(asked, 7);
    double sum = 0;
    constexpr int kCount = 200'000;
    for (int i = 0; i < kCount; ++i) {
      const int64_t delay = *schedule.Release(0, 100);
      EXPECT_GE(delay, 0);
      EXPECT_LE(delay, 180 * kMs);
      sum += static_cast<double>(delay);
    }
    EXPECT_NEAR(sum / kCount / kMs, 90, 3) << correlation;
  }
}

TEST(DetourSchedule, RateHoldsAfterTheBucketAndDropsBeyondTheLimit) {
  NetworkAsked asked;
  asked.rate_bytes_per_s = 1e6;
  asked.buffer_bytes = 10'000;
  asked.limit_bytes = 100'000;
  DetourSchedule schedule(asked, 1);
  int64_t last = 0;
  size_t passed = 0, at_once = 0, dropped = 0;
  for (int i = 0; i < 500; ++i) {  // all at the same moment
    const auto release = schedule.Release(1000 * kMs, 1000);
    if (!release) {
      ++dropped;
      continue;
    }
    EXPECT_GE(*release, last);
    last = *release;
    ++passed;
    if (*release == 1000 * kMs) ++at_once;
  }
  EXPECT_EQ(at_once, 10u);
  EXPECT_NEAR(static_cast<double>(passed), 111, 1);
  EXPECT_NEAR(static_cast<double>(last) / kMs, 1101, 1.1);
  EXPECT_EQ(passed + dropped, 500u);
}

// A full bucket of 20,000 bytes empties at ten times the rate, its first `minburst` bytes at once.
TEST(DetourSchedule, PeakRateBoundsHowTheBucketIsEmptied) {
  for (const double min_burst : {0.0, 5000.0}) {
    NetworkAsked asked;
    asked.rate_bytes_per_s = 1e6;
    asked.buffer_bytes = 20'000;
    asked.limit_bytes = 1e6;
    asked.peak_bytes_per_s = 1e7;
    asked.min_burst_bytes = min_burst;
    DetourSchedule schedule(asked, 1);
    const int64_t now = 1000 * kMs;
    std::vector<int64_t> waits;
    for (int i = 0; i < 40; ++i) waits.push_back(*schedule.Release(now, 1000) - now);
    EXPECT_EQ(std::count(waits.begin(), waits.end(), 0), min_burst == 0 ? 1 : 5);
    // 1,000 bytes take 0.1 ms at the peak and 1 ms at the rate.
    const double behind_burst = (20'000 - std::max(min_burst, 1000.0)) / 1e7 * 1e3;
    EXPECT_NEAR(static_cast<double>(waits[19]) / kMs, behind_burst, 0.001) << min_burst;
    EXPECT_NEAR(static_cast<double>(waits[39]) / kMs, 20, 0.001) << min_burst;
  }
}

TEST(DetourSchedule, ReorderLetsOneOfSoManyGoAhead) {
  NetworkAsked asked;
  asked.latency_ns = 50 * kMs;
  asked.reorder.percent = 100;
  asked.reorder_gap = 5;
  DetourSchedule schedule(asked, 1);
  int ahead = 0;
  for (int i = 0; i < 100; ++i) ahead += *schedule.Release(0, 100) == 0 ? 1 : 0;
  EXPECT_EQ(ahead, 20);
}

}  // namespace
}  // namespace faultline
