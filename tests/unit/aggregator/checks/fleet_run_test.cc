#include "aggregator/checks/fleet_run.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/clock.h"

namespace faultline {
namespace {

namespace json = boost::json;

constexpr int64_t kStart = 1'800'000'000 * kNsPerSecond;

v1::CheckResult ResultOf(const std::string& item, v1::CheckVerdict verdict,
                         const std::string& current = "") {
  v1::CheckResult result;
  result.set_rule("builtin/" + item);
  result.set_module("m");
  result.set_item(item);
  result.set_condition(item + "Bad");
  result.set_verdict(verdict);
  result.set_current(current);
  return result;
}

NodeState StateOf(const std::string& name, const std::string& kernel) {
  NodeState state;
  state.node = name;
  (*state.inventory.mutable_facts())["kernel"] = kernel;
  return state;
}

FleetRun Answered(const std::map<std::string, std::vector<v1::CheckResult>>& answers) {
  std::vector<std::string> names;
  for (const auto& [node, results] : answers) names.push_back(node);
  FleetRun run = PlanRun(names, kStart, 0, kNsPerSecond);
  for (const auto& [node, results] : answers) {
    run.nodes[node].phase = results.empty() ? NodeRunPhase::kFailed : NodeRunPhase::kDone;
    run.nodes[node].results = results;
  }
  return run;
}

TEST(FleetRunTest, StartsAreSpread) {
  const FleetRun run = PlanRun({"a", "b", "c", "d"}, kStart, 8 * kNsPerSecond, 60 * kNsPerSecond);
  EXPECT_EQ(run.nodes.at("a").start_at_unix_ns, kStart);
  EXPECT_EQ(run.nodes.at("d").start_at_unix_ns, kStart + 6 * kNsPerSecond);
  EXPECT_EQ(run.deadline_unix_ns, kStart + 68 * kNsPerSecond);
  EXPECT_FALSE(run.Finished());
}

TEST(FleetRunTest, NodesAreChosenByGlobAndFact) {
  const std::vector<NodeState> fleet = {StateOf("gpu-1", "6.1"), StateOf("gpu-2", "6.2"),
                                        StateOf("cpu-1", "6.1")};
  const auto choose = [&](const char* selector) {
    const json::value value = json::parse(selector);
    return ChooseNodes(fleet, &value);
  };
  EXPECT_EQ(ChooseNodes(fleet, nullptr).size(), 3u);
  EXPECT_THAT(choose(R"({"nodes":["gpu-*"]})"), ::testing::ElementsAre("gpu-1", "gpu-2"));
  EXPECT_THAT(choose(R"({"excludeNodes":["gpu-*"]})"), ::testing::ElementsAre("cpu-1"));
  EXPECT_THAT(choose(R"({"nodes":["gpu-*"],"facts":{"kernel":"6.2"}})"),
              ::testing::ElementsAre("gpu-2"));
}

TEST(FleetRunTest, StatusCountsAndTellsTheDifference) {
  const FleetRun first = Answered({{"a", {ResultOf("x", v1::CHECK_VERDICT_PROBLEM)}},
                                   {"b", {ResultOf("x", v1::CHECK_VERDICT_PROBLEM)}},
                                   {"c", {}}});
  const json::object before = RunStatus(first, {}, {}, kStart + 1, 2);
  EXPECT_EQ(before.at("phase"), "Completed");
  EXPECT_EQ(before.at("desired").to_number<int>(), 3);
  EXPECT_EQ(before.at("succeeded").to_number<int>(), 2);
  EXPECT_EQ(before.at("failed").to_number<int>(), 1);
  EXPECT_FALSE(before.contains("difference"));
  // a is cured, b does not answer, c has something new.
  const FleetRun second = Answered({{"a", {ResultOf("x", v1::CHECK_VERDICT_OK)}},
                                    {"b", {}},
                                    {"c", {ResultOf("y", v1::CHECK_VERDICT_PROBLEM)}}});
  const json::object after = RunStatus(second, before, {}, kStart + 2, 2);
  const json::object& difference = after.at("difference").as_object();
  ASSERT_EQ(difference.at("appeared").as_array().size(), 1u);
  EXPECT_EQ(difference.at("appeared").as_array()[0].at("node"), "c");
  ASSERT_EQ(difference.at("cleared").as_array().size(), 1u);
  EXPECT_EQ(difference.at("cleared").as_array()[0].at("node"), "a");
  const json::object third =
      RunStatus(second, RunStatus(second, after, {}, kStart + 3, 2), {}, kStart + 4, 2);
  EXPECT_EQ(third.at("history").as_array().size(), 2u) << "history is bounded";
}

TEST(FleetRunTest, ResultsAreAsAegisHasThem) {
  const json::object infos =
      ResultInfos({ResultOf("x", v1::CHECK_VERDICT_PROBLEM), ResultOf("y", v1::CHECK_VERDICT_OK)});
  const json::array& items = infos.at("m").as_array();
  ASSERT_EQ(items.size(), 2u);
  EXPECT_EQ(items[0].at("status"), true) << "true is a problem";
  EXPECT_EQ(items[1].at("status"), false);
  EXPECT_EQ(items[0].at("condition"), "xBad");
}

TEST(OutliersTest, WordsAgainstTheMajorityNumbersAgainstTheMedian) {
  const std::vector<NodeState> fleet = {StateOf("a", "6.1"), StateOf("b", "6.1"),
                                        StateOf("c", "6.2"), StateOf("d", "6.1")};
  const FleetRun run = Answered({{"a", {ResultOf("latency", v1::CHECK_VERDICT_OK, "0.31")}},
                                 {"b", {ResultOf("latency", v1::CHECK_VERDICT_OK, "0.29")}},
                                 {"c", {ResultOf("latency", v1::CHECK_VERDICT_OK, "0.30")}},
                                 {"d", {ResultOf("latency", v1::CHECK_VERDICT_OK, "4.2")}}});
  const auto outliers = FindOutliers(GatherAnswers(fleet, run));
  ASSERT_EQ(outliers.size(), 2u);
  EXPECT_EQ(outliers[0].subject + " " + outliers[0].node + " " + outliers[0].value,
            "builtin/latency d 4.2");
  EXPECT_EQ(outliers[1].subject + " " + outliers[1].node + " " + outliers[1].usual,
            "fact/kernel c 6.1");
}

TEST(OutliersTest, NoMajorityNoOutlier) {
  EXPECT_TRUE(FindOutliers({{"s", {{"a", "1"}, {"b", "2"}}, {}}}).empty()) << "two nodes";
  EXPECT_TRUE(FindOutliers({{"s", {{"a", "1"}, {"b", "2"}, {"c", "3"}}, {}}}).empty())
      << "everybody differs";
  EXPECT_TRUE(FindOutliers({{"s", {}, {{"a", 1.0}, {"b", 1.1}, {"c", 0.95}}}}).empty()) << "noise";
}

}  // namespace
}  // namespace faultline
