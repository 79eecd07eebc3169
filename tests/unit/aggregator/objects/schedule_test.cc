// Cron expressions, schedules and workflows as objects.
#include "aggregator/objects/cron.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "aggregator/objects/object_text.h"
#include "common/text.h"

namespace faultline {
namespace {

using ::testing::HasSubstr;

std::string After(std::string_view cron, std::string_view time) {
  const auto parsed = CronExpression::Parse(cron);
  if (!parsed) return parsed.error().message;
  const auto next = parsed->After(*ParseTime(time));
  return next ? FormatTime(*next).substr(0, 19) : "never";
}

TEST(CronTest, NextTimes) {
  EXPECT_EQ(After("5 * * * *", "2026-01-31T12:00:00Z"), "2026-01-31T12:05:00");
  EXPECT_EQ(After("5 * * * *", "2026-01-31T12:05:00Z"), "2026-01-31T13:05:00");
  EXPECT_EQ(After("*/15 2-4 * * *", "2026-01-31T04:45:00Z"), "2026-02-01T02:00:00");
  EXPECT_EQ(After("30 */2 * * * *", "2026-01-31T12:00:31Z"), "2026-01-31T12:02:30");
  EXPECT_EQ(After("0 9 * * mon-fri", "2026-01-31T12:00:00Z"), "2026-02-02T09:00:00");
  EXPECT_EQ(After("0 0 29 feb *", "2026-01-01T00:00:00Z"), "2028-02-29T00:00:00");
  EXPECT_EQ(After("0 0 13 * 5", "2026-02-01T00:00:00Z"), "2026-02-06T00:00:00")
      << "either of the days";
  EXPECT_EQ(After("0 0 * * 7", "2026-01-31T00:00:00Z"), "2026-02-01T00:00:00") << "7 is Sunday";
  EXPECT_EQ(After("@hourly", "2026-01-31T12:00:00Z"), "2026-01-31T13:00:00");
  EXPECT_EQ(After("@every 90s", "2026-01-31T12:00:00Z"), "2026-01-31T12:01:30");
  EXPECT_EQ(After("0 0 30 2 *", "2026-01-31T12:00:00Z"), "never");
}

TEST(CronTest, RefusalsSayWhat) {
  EXPECT_THAT(After("60 * * * *", "2026-01-31T12:00:00Z"), HasSubstr("'60' is no minute"));
  EXPECT_THAT(After("* * * *", "2026-01-31T12:00:00Z"),
              HasSubstr("expected five or six fields, got 4"));
  EXPECT_THAT(After("@often", "2026-01-31T12:00:00Z"), HasSubstr("'@often' is not known"));
  EXPECT_THAT(After("CRON_TZ=Asia/Tokyo 0 6 * * *", "2026-01-31T12:00:00Z"),
              HasSubstr("times are UTC"));
}

std::string Refusal(std::string_view text) {
  const auto objects = ParseObjects(text);
  return objects ? "accepted" : objects.error().message;
}

constexpr std::string_view kWorkflow = R"(
apiVersion: faultline.io/v1
kind: Workflow
metadata: {name: w}
spec:
  entry: all
  templates:
    - {name: all, templateType: Serial, children: [look, wait, hurt]}
    - {name: look, templateType: StatusCheck, statusCheck: {type: PromQL, expression: up, criteria: {value: '== 1'}}}
    - {name: wait, templateType: Suspend, deadline: 5s}
    - name: hurt
      templateType: Experiment
      experiment: {fault: cpu_stress, parameters: {workers: 1}, selector: {nodes: [a]}, duration: 5s}
)";

TEST(WorkflowTest, IsCheckedAsAWhole) {
  EXPECT_EQ(Refusal(kWorkflow), "accepted");
  const auto with = [](std::string_view from, std::string_view to) {
    std::string text(kWorkflow);
    return text.replace(text.find(from), from.size(), to);
  };
  EXPECT_THAT(Refusal(with("[look, wait, hurt]", "[look, all]")),
              HasSubstr("they lead in a circle"));
  EXPECT_THAT(Refusal(with("[look, wait, hurt]", "[look, nobody]")),
              HasSubstr("all leads to nobody, which is not there"));
  EXPECT_THAT(Refusal(with("entry: all", "entry: none")),
              HasSubstr("spec.entry: no template is called none"));
  EXPECT_THAT(Refusal(with(", deadline: 5s", "")),
              HasSubstr("spec.templates[2].deadline: is missing"));
  EXPECT_THAT(Refusal(with("'== 1'", "'about 1'")), HasSubstr("expected a comparison such as"));
  EXPECT_THAT(Refusal(with("duration: 5s}", "}")),
              HasSubstr("spec.templates[3].experiment.duration: is missing"));
}

TEST(ScheduleTest, OneThingByACron) {
  const std::string text =
      R"({"apiVersion":"faultline.io/v1","kind":"Schedule","metadata":{"name":"s"},"spec":{"cron":"CRON"}})";
  const auto with = [&](std::string_view cron) {
    std::string one = text;
    return one.replace(one.find("CRON"), 4, cron);
  };
  EXPECT_THAT(Refusal(with("1 2 3")), HasSubstr("spec.cron: expected five or six fields"));
  EXPECT_THAT(Refusal(with("@daily")),
              HasSubstr("spec.experiment: or workflow: exactly one is needed"));
}

}  // namespace
}  // namespace faultline
