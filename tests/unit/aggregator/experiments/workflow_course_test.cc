// The order of a workflow's steps, its branches, checks and ends, without objects or nodes.
#include "aggregator/experiments/workflow_course.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "aggregator/experiments/branch_expression.h"
#include "aggregator/experiments/schedule_course.h"
#include "common/text.h"

namespace faultline {
namespace {

namespace json = boost::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class FakeWorld final : public WorkflowWorld {
 public:
  Result<void> Make(const std::string& kind, const std::string& name,
                    const json::object&) override {
    made.push_back(kind + " " + name);
    children[name] = {};
    return {};
  }
  ChildState Look(const std::string&, const std::string& name) override { return children[name]; }
  void End(const std::string&, const std::string& name) override {
    ended.push_back(name);
    children[name].ended = true;
  }
  void Ask(size_t step, const CheckSpec&) override { asked.push_back(step); }

  std::vector<std::string> made, ended;
  std::vector<size_t> asked;
  std::map<std::string, ChildState> children;
};

constexpr int64_t kStart = 1'000'000 * kNsPerSecond;

class WorkflowCourseTest : public testing::Test {
 protected:
  void Use(std::string_view templates) {
    spec = json::parse(R"({"entry":"all","templates":)" + std::string(templates) + "}").as_object();
    course.emplace("w", spec, json::value());
  }
  void At(int64_t seconds) { course->Step(kStart + seconds * kNsPerSecond, world); }
  std::string Phase() { return std::string(course->ToJson().at("phase").as_string()); }

  json::object spec;
  FakeWorld world;
  std::optional<WorkflowCourse> course;
};

constexpr std::string_view kExperiment =
    R"({"fault":"cpu_stress","parameters":{},"selector":{},"duration":"5s"})";

TEST_F(WorkflowCourseTest, SerialGoesOnWhenOneIsDone) {
  Use(fmt::format(R"([{{"name":"all","templateType":"Serial","children":["a","wait","b"]}},
      {{"name":"a","templateType":"Experiment","experiment":{0}}},
      {{"name":"wait","templateType":"Suspend","deadline":"10s"}},
      {{"name":"b","templateType":"Experiment","experiment":{0}}}])",
                  kExperiment));
  At(0);
  EXPECT_THAT(world.made, ElementsAre("Experiment w-a-1"));
  At(1);
  EXPECT_EQ(world.made.size(), 1u);
  world.children["w-a-1"].ended = true;
  At(2);
  EXPECT_EQ(world.made.size(), 1u) << "it waits";
  At(12);
  EXPECT_THAT(world.made, ElementsAre("Experiment w-a-1", "Experiment w-b-3"));
  world.children["w-b-3"].ended = true;
  At(13);
  EXPECT_TRUE(course->finished());
  EXPECT_EQ(Phase(), "Finished");
}

TEST_F(WorkflowCourseTest, DeadlineEndsWhatRuns) {
  Use(fmt::format(
      R"([{{"name":"all","templateType":"Parallel","deadline":"20s","children":["a","b"]}},
      {{"name":"a","templateType":"Experiment","deadline":"5s","experiment":{0}}},
      {{"name":"b","templateType":"Experiment","experiment":{0}}}])",
      kExperiment));
  At(0);
  EXPECT_EQ(world.made.size(), 2u) << "side by side";
  At(6);
  At(7);
  EXPECT_THAT(world.ended, ElementsAre("w-a-1"));
  EXPECT_FALSE(course->finished());
  At(21);
  At(22);
  EXPECT_TRUE(course->finished());
  EXPECT_EQ(Phase(), "DeadlineExceeded");
  EXPECT_THAT(world.ended, ElementsAre("w-a-1", "w-b-2"));
}

TEST_F(WorkflowCourseTest, BranchesFollowWhatTheTaskSaid) {
  Use(fmt::format(
      R"([{{"name":"all","templateType":"Task","task":{{"command":["echo"]}},"conditionalBranches":[
      {{"target":"a","expression":"exitCode == 0 && stdout == \"left\""}},
      {{"target":"b","expression":"exitCode == 0 && stdout == \"right\""}}]}},
      {{"name":"a","templateType":"Experiment","experiment":{0}}},
      {{"name":"b","templateType":"Experiment","experiment":{0}}}])",
      kExperiment));
  At(0);
  world.children["w-all-0"] = {
      .ended = true, .failed = false, .message = "", .exit_code = 0, .stdout_text = "right"};
  At(1);
  EXPECT_THAT(world.made, ElementsAre("Experiment w-all-0", "Experiment w-b-1"));
  // A restarted aggregator goes on from the status.
  WorkflowCourse again("w", spec, course->ToJson());
  world.children["w-b-1"].ended = true;
  again.Step(kStart + 2 * kNsPerSecond, world);
  EXPECT_TRUE(again.finished());
  EXPECT_EQ(world.made.size(), 2u) << "nothing is made twice";
}

TEST_F(WorkflowCourseTest, AFailedCheckAborts) {
  Use(fmt::format(R"([{{"name":"all","templateType":"Parallel","children":["look","a"]}},
      {{"name":"look","templateType":"StatusCheck","abortWithStatusCheck":true,
        "statusCheck":{{"mode":"Continuous","type":"HTTP","failureThreshold":2,"intervalSeconds":1,"http":{{"url":"http://x","criteria":{{"statusCode":"200"}}}}}}}},
      {{"name":"a","templateType":"Experiment","experiment":{0}}}])",
                  kExperiment));
  At(0);
  ASSERT_THAT(world.asked, ElementsAre(1u));
  course->OnAnswer(1, std::string("fine"), kStart);
  At(1);
  course->OnAnswer(1, Fail(ErrorCode::kUnavailable, "500"), kStart);
  At(2);
  EXPECT_TRUE(world.ended.empty()) << "once is not enough";
  course->OnAnswer(1, Fail(ErrorCode::kUnavailable, "500"), kStart);
  At(3);
  At(4);
  At(5);
  EXPECT_THAT(world.ended, ElementsAre("w-a-2"));
  EXPECT_TRUE(course->finished());
  EXPECT_EQ(Phase(), "Aborted");
  EXPECT_THAT(std::string(course->ToJson().at("abortReason").as_string()),
              HasSubstr("status check look failed: 500"));
}

TEST(BranchExpressionTest, IsWhatItSays) {
  const auto holds = [](std::string_view text) {
    return EvaluateBranch(text, 3, "it works").value_or(false);
  };
  EXPECT_TRUE(holds(""));
  EXPECT_TRUE(holds("exitCode == 3"));
  EXPECT_FALSE(holds("exitCode != 3"));
  EXPECT_TRUE(holds("exitCode > 1 && !(exitCode > 5)"));
  EXPECT_TRUE(holds("exitCode == 9 || stdout contains 'works'"));
  EXPECT_FALSE(holds("stdout == \"it\""));
  EXPECT_THAT(EvaluateBranch("exitCode ==", 0, "").error().message, HasSubstr("column 12"));
  EXPECT_THAT(EvaluateBranch("stdout > 3", 0, "").error().message, HasSubstr("cannot be compared"));
  EXPECT_FALSE(EvaluateBranch(std::string(1000, '('), 0, ""));
}

TEST(ScheduleCourseTest, StartsTheLatestOfWhatWasMissed) {
  ScheduleRules rules;
  rules.cron = *CronSchedule::Parse("*/10 * * * * *");
  const int64_t last = kStart;  // a full ten seconds
  EXPECT_FALSE(DecideSchedule(rules, last, last + 9 * kNsPerSecond, 0).start_unix_ns);
  EXPECT_EQ(DecideSchedule(rules, last, last + 35 * kNsPerSecond, 0).start_unix_ns,
            last + 30 * kNsPerSecond);
  const auto forbidden = DecideSchedule(rules, last, last + 10 * kNsPerSecond, 1);
  EXPECT_FALSE(forbidden.start_unix_ns);
  EXPECT_EQ(forbidden.last_unix_ns, last) << "it is made up for when the other is over";
  rules.allow_concurrent = true;
  EXPECT_TRUE(DecideSchedule(rules, last, last + 10 * kNsPerSecond, 1).start_unix_ns);
  rules.starting_deadline_s = 3;
  EXPECT_FALSE(DecideSchedule(rules, last, last + 19 * kNsPerSecond, 0).start_unix_ns)
      << "too late";
  EXPECT_THAT(DecideSchedule(rules, last, last + 5000 * kNsPerSecond, 0).message,
              HasSubstr("more than 100"));
}

}  // namespace
}  // namespace faultline
