#include "common/self_metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace faultline {
namespace {

using ::testing::HasSubstr;

TEST(SelfMetricsTest, SameNameAndLabelsAreTheSameObject) {
  SelfMetrics metrics;
  Counter& counter = metrics.GetCounter("faultline_x_total", "Things.", {{"a", "1"}});
  EXPECT_EQ(&counter, &metrics.GetCounter("faultline_x_total", "Things.", {{"a", "1"}}));
  EXPECT_NE(&counter, &metrics.GetCounter("faultline_x_total", "Things.", {{"a", "2"}}));
  counter.Add();
  counter.Add(2);
  EXPECT_EQ(counter.Value(), 3);
}

TEST(SelfMetricsTest, RendersPrometheusText) {
  SelfMetrics metrics;
  metrics.GetCounter("faultline_x_total", "Things.", {{"a", "1"}}).Add(3);
  metrics.GetGauge("faultline_y", "More.").Set(0.5);
  metrics.GetHistogram("faultline_z_seconds", "Times.", {0.1, 1}, {{"r", "q"}}).Observe(0.2);
  const std::string text = metrics.Render();
  EXPECT_THAT(text, HasSubstr("# HELP faultline_x_total Things.\n# TYPE faultline_x_total counter\n"));
  EXPECT_THAT(text, HasSubstr("faultline_x_total{a=\"1\"} 3"));
  EXPECT_THAT(text, HasSubstr("faultline_y 0.5"));
  EXPECT_THAT(text, HasSubstr("faultline_z_seconds_bucket{r=\"q\",le=\"1\"} 1"));
}

}  // namespace
}  // namespace faultline
