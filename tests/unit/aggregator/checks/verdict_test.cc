#include "aggregator/checks/verdict.h"

#include <gtest/gtest.h>

#include <random>

#include "common/clock.h"

namespace faultline {
namespace {

constexpr v1::CheckVerdict kOk = v1::CHECK_VERDICT_OK;
constexpr v1::CheckVerdict kProblem = v1::CHECK_VERDICT_PROBLEM;
constexpr v1::CheckVerdict kUnknown = v1::CHECK_VERDICT_UNKNOWN;

// A rule that runs every ten seconds.
struct Rule {
  v1::RuleMemory memory;
  VerdictOptions options;
  int64_t now = 1'800'000'000 * kNsPerSecond;
  int64_t interval_ms = 10'000;

  RuleStep Run(v1::CheckVerdict verdict, int64_t after_ns = 10 * kNsPerSecond,
               bool by_command = false) {
    now += after_ns;
    v1::CheckResult result;
    result.set_rule("r");
    result.set_verdict(verdict);
    result.set_started_unix_ns(now);
    result.set_interval_ms(by_command ? 0 : interval_ms);
    if (by_command) result.set_command_id("c");
    return TakeResult(memory, result, now, "boot", options);
  }
  RuleStep Wait(int64_t ns, std::string_view boot_id = "boot") {
    now += ns;
    return Tick(memory, now, boot_id, options);
  }
};

TEST(VerdictTest, AProblemCountsWhenItWasSeenTwiceAnOkAtOnce) {
  Rule rule;
  EXPECT_EQ(rule.Run(kOk), RuleStep::kChanged);
  EXPECT_EQ(rule.Run(kProblem), RuleStep::kLookAgain);
  EXPECT_EQ(rule.memory.held(), kOk);
  EXPECT_EQ(rule.Run(kProblem, kNsPerMs, true), RuleStep::kChanged);
  EXPECT_EQ(rule.memory.held(), kProblem);
  EXPECT_EQ(rule.memory.last().interval_ms(), 10'000)
      << "a run by command does not change the schedule";
  EXPECT_EQ(rule.Run(kOk), RuleStep::kChanged);
  EXPECT_EQ(rule.memory.held(), kOk);
}

TEST(VerdictTest, ABlipIsNoProblem) {
  Rule rule;
  rule.Run(kOk);
  EXPECT_EQ(rule.Run(kProblem), RuleStep::kLookAgain);
  EXPECT_EQ(rule.Run(kOk, kNsPerMs, true), RuleStep::kNothing);
  EXPECT_EQ(rule.memory.held(), kOk);
  EXPECT_EQ(rule.memory.suspected_unix_ns(), 0);
}

TEST(VerdictTest, WhatCannotBeLookedAtAgainCounts) {
  Rule rule;
  rule.Run(kProblem);
  EXPECT_EQ(Confirm(rule.memory, rule.now), RuleStep::kChanged);
  EXPECT_EQ(rule.memory.held(), kProblem);
  Rule log;
  log.interval_ms = 0;
  EXPECT_EQ(log.Run(kProblem), RuleStep::kChanged) << "no schedule repeats it";
}

TEST(VerdictTest, WeightsAreNagios) {
  // 20 changes in a row: the mean weight is 1.
  std::string window;
  for (int i = 0; i < 21; ++i) window += i % 2 == 0 ? '\1' : '\3';
  EXPECT_NEAR(FlapPercent(window), 100, 1e-9);
  // One change: the oldest weighs 0.75/20, the newest 1.25/20.
  EXPECT_NEAR(FlapPercent(std::string("\1") + std::string(20, '\3')), 3.75, 1e-9);
  EXPECT_NEAR(FlapPercent(std::string(20, '\1') + "\3"), 6.25, 1e-9);
  EXPECT_EQ(FlapPercent(std::string(21, '\1')), 0);
}

TEST(VerdictTest, AHalfFlapperChangesNothingAndSettlesWhenItIsQuiet) {
  Rule rule;
  std::mt19937 random(7);
  for (int i = 0; i < 21; ++i) rule.Run(random() % 2 == 0 ? kOk : kProblem);
  ASSERT_TRUE(rule.memory.flapping());
  const v1::CheckVerdict held = rule.memory.held();
  int changes = 0;
  for (int i = 0; i < 500; ++i)
    changes += rule.Run(random() % 2 == 0 ? kOk : kProblem) == RuleStep::kChanged;
  EXPECT_EQ(changes, 0);
  EXPECT_EQ(rule.memory.held(), held);
  for (int i = 0; i < 21; ++i) rule.Run(kProblem);
  EXPECT_FALSE(rule.memory.flapping());
  EXPECT_EQ(rule.memory.held(), kProblem);
}

TEST(VerdictTest, SilenceIsUnknownAndEndsWithTheNextResult) {
  Rule rule;
  rule.Run(kOk);
  EXPECT_EQ(rule.Wait(24 * kNsPerSecond), RuleStep::kNothing);
  EXPECT_EQ(rule.Wait(2 * kNsPerSecond), RuleStep::kChanged);
  EXPECT_EQ(rule.memory.held(), kUnknown);
  EXPECT_EQ(rule.Run(kOk), RuleStep::kChanged);
  EXPECT_EQ(rule.memory.held(), kOk);
}

TEST(VerdictTest, OurOwnAbsenceIsNoSilence) {
  Rule rule;
  rule.Run(kOk);
  rule.now += 3600 * kNsPerSecond;
  rule.options.not_before_unix_ns = rule.now;
  EXPECT_EQ(rule.Wait(kNsPerSecond), RuleStep::kNothing);
  EXPECT_EQ(rule.Wait(26 * kNsPerSecond), RuleStep::kChanged);
}

TEST(VerdictTest, WhatNoScheduleRepeatsEndsWithTheBootOrAfterAWhile) {
  Rule rule;
  rule.interval_ms = 0;
  rule.Run(kProblem);
  EXPECT_EQ(rule.Wait(3600 * kNsPerSecond), RuleStep::kNothing);
  EXPECT_EQ(rule.Wait(0, "another boot"), RuleStep::kChanged);
  EXPECT_EQ(rule.memory.held(), kOk);
  rule.Run(kProblem);
  EXPECT_EQ(rule.Wait(int64_t{25} * 3600 * kNsPerSecond), RuleStep::kChanged);
  EXPECT_EQ(rule.memory.held(), kOk);
}

TEST(VerdictTest, OldAndRepeatedResultsChangeNothing) {
  Rule rule;
  rule.Run(kOk);
  rule.Run(kOk);
  const uint64_t runs = rule.memory.runs();
  EXPECT_EQ(rule.Run(kProblem, -5 * kNsPerSecond), RuleStep::kNothing);
  EXPECT_EQ(rule.memory.runs(), runs);
}

}  // namespace
}  // namespace faultline
