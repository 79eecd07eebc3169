#include "aggregator/checks/node_health.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/clock.h"

namespace faultline {
namespace {

constexpr int64_t kStart = 1'800'000'000 * kNsPerSecond;

v1::CheckResult ResultOf(const std::string& rule, const std::string& condition,
                         v1::CheckVerdict verdict, int64_t at) {
  v1::CheckResult result;
  result.set_rule(rule);
  result.set_condition(condition);
  result.set_reason(condition + "Reason");
  result.set_verdict(verdict);
  result.set_level(v1::CHECK_LEVEL_CRITICAL);
  result.set_kind(v1::CHECK_KIND_CONDITION);
  result.set_message("message of " + rule);
  result.set_started_unix_ns(at);
  return result;
}

TEST(NodeHealthTest, SeveralRulesFeedOneCondition) {
  NodeHealth health("n1");
  const VerdictOptions options;
  health.Take(ResultOf("npd/a", "KernelDeadlock", v1::CHECK_VERDICT_OK, kStart), kStart, options);
  health.Take(ResultOf("npd/b", "KernelDeadlock", v1::CHECK_VERDICT_OK, kStart), kStart, options);
  EXPECT_EQ(health.conditions().at("KernelDeadlock").status(), v1::CONDITION_STATUS_FALSE);
  const auto on =
      health.Take(ResultOf("npd/b", "KernelDeadlock", v1::CHECK_VERDICT_PROBLEM, kStart + 1),
                  kStart + 1, options);
  ASSERT_EQ(on.changes.size(), 1u);
  EXPECT_EQ(on.changes[0].from() + on.changes[0].to(), "FalseTrue");
  const v1::Condition& condition = health.conditions().at("KernelDeadlock");
  EXPECT_EQ(condition.rule(), "npd/b");
  EXPECT_EQ(condition.since_unix_ns(), kStart + 1);
  EXPECT_TRUE(health
                  .Take(ResultOf("npd/a", "KernelDeadlock", v1::CHECK_VERDICT_OK, kStart + 2),
                        kStart + 2, options)
                  .changes.empty());
  const auto off = health.Take(
      ResultOf("npd/b", "KernelDeadlock", v1::CHECK_VERDICT_OK, kStart + 3), kStart + 3, options);
  ASSERT_EQ(off.changes.size(), 1u);
  EXPECT_EQ(off.changes[0].to(), "False");
}

TEST(NodeHealthTest, ATemporaryProblemIsAnEventAndHoldsNothing) {
  NodeHealth health("n1");
  v1::CheckResult result = ResultOf("npd/oom", "", v1::CHECK_VERDICT_PROBLEM, kStart);
  result.set_kind(v1::CHECK_KIND_EVENT);
  result.set_count(3);
  const auto outcome = health.Take(result, kStart, {});
  EXPECT_TRUE(outcome.event);
  EXPECT_TRUE(health.conditions().empty());
  EXPECT_EQ(health.events(), 3u);
}

TEST(NodeHealthTest, NotApplicableMakesNoCondition) {
  NodeHealth health("n1");
  health.Take(ResultOf("builtin/gpu", "GpuLost", v1::CHECK_VERDICT_NOT_APPLICABLE, kStart), kStart,
              {});
  EXPECT_TRUE(health.conditions().empty());
}

TEST(NodeHealthTest, ARuleThatIsGoneTakesItsConditionWithIt) {
  NodeHealth health("n1");
  health.Take(ResultOf("npd/a", "A", v1::CHECK_VERDICT_PROBLEM, kStart), kStart, {});
  health.Take(ResultOf("npd/b", "B", v1::CHECK_VERDICT_PROBLEM, kStart), kStart, {});
  const auto outcome = health.KeepRules({"npd/b"}, kStart + 1, kStart + 1);
  ASSERT_EQ(outcome.changes.size(), 1u);
  EXPECT_EQ(outcome.changes[0].reason(), "NoLongerChecked");
  EXPECT_FALSE(health.conditions().contains("A"));
  EXPECT_TRUE(health.conditions().contains("B"));
}

TEST(NodeHealthTest, SurvivesARestartWord) {
  NodeHealth health("n1");
  health.TakeFacts("boot", {{"kernel", "6.1"}}, kStart);
  health.Take(ResultOf("npd/a", "A", v1::CHECK_VERDICT_PROBLEM, kStart), kStart, {});
  health.SetReady(false, kStart);
  v1::NodeHealthMemory memory;
  ASSERT_TRUE(memory.ParseFromString(health.ToMemory(kStart).SerializeAsString()));
  NodeHealth again = NodeHealth::FromMemory(memory);
  EXPECT_EQ(again.conditions().at("A").status(), v1::CONDITION_STATUS_TRUE);
  EXPECT_EQ(again.conditions().at("A").since_unix_ns(), kStart);
  EXPECT_EQ(again.changes().size(), 2u);
  EXPECT_TRUE(again.Take(ResultOf("npd/a", "A", v1::CHECK_VERDICT_PROBLEM, kStart), kStart + 1, {})
                  .changes.empty());
  EXPECT_EQ(again.ToMemory(kStart).SerializeAsString(), again.ToMemory(kStart).SerializeAsString());
}

TEST(NodeHealthTest, FactsThatMatterAreChanges) {
  NodeHealth health("n1");
  EXPECT_TRUE(health.TakeFacts("b1", {{"kernel", "6.1"}, {"uptime", "1"}}, kStart).changes.empty());
  const auto outcome = health.TakeFacts("b2", {{"kernel", "6.2"}, {"uptime", "2"}}, kStart + 1);
  ASSERT_EQ(outcome.changes.size(), 1u);
  EXPECT_EQ(outcome.changes[0].subject(), "kernel");
  EXPECT_EQ(outcome.changes[0].from() + outcome.changes[0].to(), "6.16.2");
}

TEST(NodeHealthTest, ANodeThatIsGoneIsNotReady) {
  NodeHealth health("n1");
  EXPECT_TRUE(health.SetReady(true, kStart).changes.empty());
  EXPECT_EQ(health.SetReady(false, kStart + 1).changes.size(), 1u);
  EXPECT_TRUE(health.SetReady(false, kStart + 2).changes.empty());
  EXPECT_EQ(health.SetReady(true, kStart + 3).changes.size(), 1u);
}

TEST(NodeHealthTest, HostileTextIsBoundedAndUtf8) {
  NodeHealth health("n1");
  v1::CheckResult result = ResultOf("aegis/x", "X", v1::CHECK_VERDICT_PROBLEM, kStart);
  result.set_output(std::string(1 << 20, 'x'));
  result.set_message(std::string(100'000, 'y'));
  health.Take(result, kStart, {});
  EXPECT_LE(health.rules().at("aegis/x").last().output().size(), 4096u);
  EXPECT_LE(health.conditions().at("X").message().size(), 2000u);
}

}  // namespace
}  // namespace faultline
