#include "common/cron.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/text.h"

namespace faultline {
namespace {

using ::testing::HasSubstr;

std::string Next(std::string_view schedule, std::string_view after) {
  const auto cron = CronSchedule::Parse(schedule);
  if (!cron) return cron.error().message;
  const auto next = cron->Next(*ParseTime(after));
  return next ? FormatTime(*next).substr(0, 19) : "never";
}

TEST(CronTest, FiveAndSixFields) {
  EXPECT_EQ(Next("*/15 * * * *", "2026-11-30T10:07:01Z"), "2026-11-30T10:15:00");
  EXPECT_EQ(Next("*/15 * * * *", "2026-11-30T10:15:00Z"), "2026-11-30T10:30:00");
  EXPECT_EQ(Next("*/10 * * * * *", "2026-11-30T10:07:01Z"), "2026-11-30T10:07:10");
  EXPECT_EQ(Next("30 59 23 * * *", "2026-12-31T23:59:30Z"), "2027-01-01T23:59:30");
  EXPECT_EQ(Next("5/20 * * * * *", "2026-11-30T10:07:26Z"), "2026-11-30T10:07:45");
  EXPECT_EQ(Next("0 2 * * MON-fri", "2026-11-27T02:00:00Z"), "2026-11-30T02:00:00");
  EXPECT_EQ(Next("0 0 * * 7", "2026-11-30T00:00:00Z"), "2026-12-06T00:00:00");
  EXPECT_EQ(Next("0 12 29 feb *", "2026-11-30T00:00:00Z"), "2028-02-29T12:00:00");
}

TEST(CronTest, TwoRestrictedDaysAreAlternatives) {
  EXPECT_EQ(Next("0 0 13 * FRI", "2026-11-30T00:00:00Z"), "2026-12-04T00:00:00");
  EXPECT_EQ(Next("0 0 13 * ?", "2026-11-30T00:00:00Z"), "2026-12-13T00:00:00");
}

TEST(CronTest, Words) {
  EXPECT_EQ(Next("@hourly", "2026-11-30T10:07:01Z"), "2026-11-30T11:00:00");
  EXPECT_EQ(Next("@Weekly", "2026-11-30T10:07:01Z"), "2026-12-06T00:00:00");
  EXPECT_EQ(Next("@every 90s", "2026-11-30T10:07:01Z"), "2026-11-30T10:08:31");
  EXPECT_EQ(Next("TZ=UTC @hourly", "2026-11-30T10:07:01Z"), "2026-11-30T11:00:00");
}

TEST(CronTest, WhatIsWrongIsNamed) {
  EXPECT_THAT(Next("* * * *", "2026-11-30T00:00:00Z"), HasSubstr("has 4 fields"));
  EXPECT_THAT(Next("61 * * * *", "2026-11-30T00:00:00Z"), HasSubstr("minute '61'"));
  EXPECT_THAT(Next("0 5-2 * * *", "2026-11-30T00:00:00Z"), HasSubstr("hour '5-2'"));
  EXPECT_THAT(Next("0 0 0 * *", "2026-11-30T00:00:00Z"), HasSubstr("day '0'"));
  EXPECT_THAT(Next("*/0 * * * *", "2026-11-30T00:00:00Z"), HasSubstr("minute '*/0'"));
  EXPECT_THAT(Next("@every 5ms", "2026-11-30T00:00:00Z"), HasSubstr("at least 1s"));
  EXPECT_THAT(Next("@often", "2026-11-30T00:00:00Z"), HasSubstr("'@often' is not known"));
  EXPECT_THAT(Next("CRON_TZ=Asia/Tokyo 0 6 * * *", "2026-11-30T00:00:00Z"), HasSubstr("times are UTC"));
  EXPECT_EQ(Next("0 0 30 2 *", "2026-11-30T00:00:00Z"), "never");
}

}  // namespace
}  // namespace faultline
