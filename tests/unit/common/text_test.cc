#include "common/text.h"

#include <gtest/gtest.h>

namespace faultline {
namespace {

TEST(Text, DurationsHaveUnits) {
  EXPECT_EQ(ParseDurationNs("1h30m"), 5400ll * 1'000'000'000);
  EXPECT_EQ(ParseDurationNs("250ms"), 250'000'000);
  EXPECT_EQ(ParseDurationNs("1.5s"), 1'500'000'000);
  EXPECT_EQ(ParseDurationNs("15"), std::nullopt);
  EXPECT_EQ(ParseDurationNs("s"), std::nullopt);
  EXPECT_EQ(ParseDurationNs("1parsec"), std::nullopt);
}

TEST(Text, BytesHaveUnits) {
  EXPECT_EQ(ParseBytes("64MiB"), 64u << 20);
  EXPECT_EQ(ParseBytes("10k"), 10'000u);
  EXPECT_EQ(ParseBytes("512"), 512u);
  EXPECT_EQ(ParseBytes("MiB"), std::nullopt);
}

TEST(Text, TimesRoundTrip) {
  const auto time = ParseTime("2026-11-20T10:28:21.583367648Z");
  ASSERT_TRUE(time);
  EXPECT_EQ(FormatTime(*time), "2026-11-20T10:28:21.583367648Z");
  EXPECT_EQ(ParseTime("2026-11-20T11:28:21+01:00"), ParseTime("2026-11-20T10:28:21Z"));
  EXPECT_EQ(ParseTime("2026-13-20T10:28:21Z"), std::nullopt);
  EXPECT_EQ(ParseTime("yesterday"), std::nullopt);
}

TEST(Text, GlobsMatchWholeNames) {
  EXPECT_TRUE(GlobMatch("/var/log/*.log", "/var/log/syslog.log"));
  EXPECT_FALSE(GlobMatch("/var/log/*.log", "/var/log/syslog.log.1"));
  EXPECT_TRUE(GlobMatch("sd[a-c]?", "sdb1"));
  EXPECT_FALSE(GlobMatch("sd[!a-c]?", "sdb1"));
}

TEST(Text, RepairsUtf8) {
  EXPECT_TRUE(IsValidUtf8("grün"));
  EXPECT_FALSE(IsValidUtf8("\xC0\x80"));
  EXPECT_EQ(ReplaceInvalidUtf8("a\xFFz"), "a\xEF\xBF\xBDz");
}

}  // namespace
}  // namespace faultline
