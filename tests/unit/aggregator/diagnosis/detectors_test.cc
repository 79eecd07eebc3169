// Detectors on windows made by hand: what they must see, and what they must leave alone.
#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "aggregator/diagnosis/catalogue.h"
#include "aggregator/diagnosis/statistics.h"

namespace faultline {
namespace {

constexpr int64_t kBegin = 1'000'000;

SeriesWindow Window(const std::string& metric, v1::MetricType type, const std::vector<double>& baseline,
                    const std::vector<double>& window) {
  SeriesWindow result;
  result.labels = {{"__name__", metric}, {"id", "/a"}, {"node", "n"}};
  result.type = type;
  for (size_t i = 0; i < baseline.size(); ++i) {
    result.baseline.push_back({kBegin - 1000 * static_cast<int64_t>(baseline.size() - 1 - i), baseline[i]});
  }
  for (size_t i = 0; i < window.size(); ++i) {
    result.window.push_back({kBegin + 1000 * static_cast<int64_t>(i + 1), window[i]});
  }
  return result;
}

std::vector<double> Noise(size_t n, double level, double spread, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<double> normal(level, spread);
  std::vector<double> values;
  for (size_t i = 0; i < n; ++i) values.push_back(std::max(0.0, normal(random)));
  return values;
}

constexpr char kCpu[] = "container_cpu_usage_seconds_total";

TEST(LevelShift, SeesARiseAndItsOnset) {
  auto window = Noise(5, 0.1, 0.02, 2);
  const auto after = Noise(15, 1.8, 0.1, 3);
  window.insert(window.end(), after.begin(), after.end());
  const auto found =
      MakeLevelShift()->Detect(Window(kCpu, v1::METRIC_TYPE_COUNTER, Noise(60, 0.1, 0.02, 1), window));
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].direction, "up");
  EXPECT_NEAR(found[0].before, 0.1, 0.02);
  EXPECT_NEAR(found[0].during, 1.8, 0.1);
  EXPECT_NEAR(static_cast<double>(found[0].onset_unix_ms), kBegin + 5500.0, 500);
  EXPECT_GT(found[0].score, 20);
}

TEST(LevelShift, LeavesNoiseAlone) {
  int alarms = 0;
  for (unsigned seed = 0; seed < 200; ++seed) {
    alarms += static_cast<int>(MakeLevelShift()
                                   ->Detect(Window(kCpu, v1::METRIC_TYPE_COUNTER, Noise(60, 0.5, 0.05, seed),
                                                   Noise(20, 0.5, 0.05, seed + 1000)))
                                   .size());
  }
  EXPECT_LE(alarms, 2);
}

TEST(LevelShift, SmallerThanTheFloorIsNothing) {
  EXPECT_TRUE(MakeLevelShift()
                  ->Detect(Window(kCpu, v1::METRIC_TYPE_COUNTER, std::vector<double>(30, 0.0),
                                  std::vector<double>(20, 0.01)))
                  .empty());
}

TEST(LevelShift, AShortBaselineSaysNothing) {
  EXPECT_TRUE(MakeLevelShift()->Detect(Window(kCpu, v1::METRIC_TYPE_COUNTER, {0.1, 0.1}, {9, 9, 9, 9})).empty());
}

TEST(Stopped, SeesStillness) {
  std::vector<double> window(12, 0.0);
  window[0] = 0.2;
  const auto found = MakeStopped()->Detect(Window(kCpu, v1::METRIC_TYPE_COUNTER, Noise(60, 0.2, 0.02, 1), window));
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].direction, "gone");
}

TEST(Stopped, AnIdleCounterIsNotStopped) {
  std::vector<double> baseline(60, 0.0);
  baseline[10] = 1;
  EXPECT_TRUE(
      MakeStopped()->Detect(Window(kCpu, v1::METRIC_TYPE_COUNTER, baseline, std::vector<double>(12, 0.0))).empty());
}

TEST(Appeared, SeesWhatWasNotThere) {
  const auto found = MakeAppeared()->Detect(
      Window("container_syscall_errors_total", v1::METRIC_TYPE_COUNTER, {}, std::vector<double>(8, 40.0)));
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].direction, "new");
}

TEST(Statistics, Medians) {
  EXPECT_EQ(Median({3, 1, 2}), 2);
  EXPECT_EQ(Median({4, 1, 2, 3}), 2.5);
  EXPECT_EQ(Median({}), 0);
  EXPECT_NEAR(ScaledMad({1, 2, 3, 4, 5}, 3), 1.4826, 1e-9);
}

TEST(Detectors, TheCatalogueNamesThem) {
  std::vector<std::string_view> names;
  for (const DetectorRow& row : DetectorCatalogue()) names.push_back(row.name);
  EXPECT_EQ(names, (std::vector<std::string_view>{"appeared", "level_shift", "stopped"}));
}

TEST(Detectors, EmptyAndNanWindowsAreHarmless) {
  for (const DetectorRow& row : DetectorCatalogue()) {
    const auto detector = row.make();
    EXPECT_TRUE(detector->Detect({}).empty()) << row.name;
    (void)detector->Detect(Window(kCpu, v1::METRIC_TYPE_COUNTER, std::vector<double>(10, NAN),
                                  std::vector<double>(10, NAN)));
  }
}

}  // namespace
}  // namespace faultline
