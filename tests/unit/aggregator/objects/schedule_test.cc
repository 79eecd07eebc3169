// Schedules and workflows as objects.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "aggregator/objects/object_text.h"
#include "common/text.h"

namespace faultline {
namespace {

using ::testing::HasSubstr;

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
  EXPECT_THAT(Refusal(with("1 2 3")), HasSubstr("spec.cron: '1 2 3' has 3 fields"));
  EXPECT_THAT(Refusal(with("@daily")),
              HasSubstr("spec.experiment: or workflow: exactly one is needed"));
}

}  // namespace
}  // namespace faultline
