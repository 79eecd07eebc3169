#include "common/exposition.h"

#include <gtest/gtest.h>

#include <cmath>

namespace faultline {
namespace {

TEST(Exposition, ReadsFamiliesLabelsAndNumbers) {
  const auto parsed = ParseExposition(R"(# anything
# HELP a_seconds Text with \\ and \n.
# TYPE a_seconds gauge
a_seconds{x="1",y="q\"\\\n"} 1.5
 a_seconds { x = "2" , } -2e3
free 0x10

# TYPE h histogram
h_bucket{le="+Inf"} 3
h_sum +Inf
h_count 3
h_total 9
# TYPE s summary
s{quantile="0.5"} NaN
s_count 4
)");
  ASSERT_TRUE(parsed) << parsed.error().message;
  ASSERT_EQ(parsed->families.size(), 5u);
  EXPECT_EQ(parsed->families[0].help, "Text with \\ and \n.");
  EXPECT_EQ(parsed->families[0].type, v1::METRIC_TYPE_GAUGE);
  EXPECT_EQ(parsed->families[1].type, v1::METRIC_TYPE_UNTYPED);
  ASSERT_EQ(parsed->samples.size(), 9u);
  EXPECT_EQ(parsed->samples[0].labels[1].second, "q\"\\\n");
  EXPECT_EQ(parsed->samples[1].value, -2000);
  EXPECT_EQ(parsed->samples[2].value, 16);
  EXPECT_EQ(parsed->families[parsed->samples[3].family].name, "h");
  EXPECT_TRUE(std::isinf(parsed->samples[4].value));
  EXPECT_EQ(parsed->families[parsed->samples[6].family].name, "h_total");
  EXPECT_TRUE(std::isnan(parsed->samples[7].value));
  EXPECT_EQ(parsed->families[parsed->samples[8].family].name, "s");
}

TEST(Exposition, KeepsTimeStamps) {
  const auto parsed = ParseExposition("x 1 -5");
  ASSERT_TRUE(parsed);
  EXPECT_TRUE(parsed->samples[0].has_time);
  EXPECT_EQ(parsed->samples[0].time_unix_ms, -5);
}

TEST(Exposition, RefusesWithTheLine) {
  for (const char* bad : {"1x 2",
                          "x",
                          "x y",
                          "x 1 2 3",
                          "x 1 2.5",
                          "x{a=1} 2",
                          "x{a=\"1\" 2",
                          "x{a=\"1\"b=\"2\"} 3",
                          "x{a=\"1\",a=\"2\"} 3",
                          "x{a=\"\\q\"} 3",
                          "x{a=\"1",
                          "x{__name__=\"y\"} 1",
                          "# TYPE x sometype",
                          "# TYPE x gauge\n# TYPE x gauge",
                          "# HELP x a\n# HELP x b",
                          "x 1\n# TYPE x gauge",
                          "x --1",
                          "x 0x",
                          "x 1e",
                          "x{a=\"\xff\"} 1",
                          "x 1\r\n",
                          "# HELP 1"}) {
    const auto parsed = ParseExposition(std::string("ok 1\n") + bad);
    ASSERT_FALSE(parsed) << bad;
    EXPECT_EQ(parsed.error().code, ErrorCode::kCorruption);
    EXPECT_TRUE(parsed.error().message.starts_with("line ")) << parsed.error().message;
  }
}

TEST(Exposition, IsBounded) {
  const auto parsed = ParseExposition("x 1\ny 2\n", 1);
  ASSERT_FALSE(parsed);
  EXPECT_EQ(parsed.error().code, ErrorCode::kResourceExhausted);
}

TEST(Exposition, HugeAndTinyNumbers) {
  const auto parsed = ParseExposition("a 1e400\nb -1e400\nc 1e-400\n");
  ASSERT_TRUE(parsed) << parsed.error().message;
  EXPECT_TRUE(std::isinf(parsed->samples[0].value));
  EXPECT_LT(parsed->samples[1].value, 0);
  EXPECT_EQ(parsed->samples[2].value, 0);
}

}  // namespace
}  // namespace faultline
