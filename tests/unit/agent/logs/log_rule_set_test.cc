#include "agent/logs/log_rule_set.h"

#include <gtest/gtest.h>

namespace faultline {
namespace {

using Hits = std::vector<int>;

Hits Match(const std::vector<std::string>& patterns, std::string_view text, LogRuleSet::Options options = {}) {
  const auto set = LogRuleSet::Compile(patterns, options);
  EXPECT_TRUE(set) << (set ? "" : set.error().message);
  Hits hits;
  const bool any = set->Match(text, hits);
  EXPECT_EQ(any, !hits.empty());
  return hits;
}

TEST(LogRuleSetTest, SaysEveryRuleThatMatches) {
  const std::vector<std::string> patterns = {"Kill(ed)? process", "task \\S+:\\w+ blocked", "process", "^x"};
  EXPECT_EQ(Match(patterns, "Out of memory: Killed process 7 (java)"), (Hits{0, 2}));
  EXPECT_EQ(Match(patterns, "task sync:12 blocked for more than 120 seconds"), Hits{1});
  EXPECT_EQ(Match(patterns, "nothing"), Hits{});
  EXPECT_EQ(Match({}, "nothing"), Hits{});
}

TEST(LogRuleSetTest, MayAskForTheEndOfTheText) {
  const std::vector<std::string> patterns = {"failed|lost", "lost"};
  EXPECT_EQ(Match(patterns, "link lost", {.at_end = true}), (Hits{0, 1}));
  EXPECT_EQ(Match(patterns, "link lost again", {.at_end = true}), Hits{});
}

TEST(LogRuleSetTest, LooksAroundBytesThatAreNoText) {
  EXPECT_EQ(Match({"error.*end"}, "error \xff\xfe end"), Hits{0});
}

TEST(LogRuleSetTest, IsRightWithoutAnAutomaton) {
  std::vector<std::string> patterns;
  for (int i = 0; i < 40; ++i) patterns.push_back("[a-z]{20,60}x" + std::to_string(i) + "y");
  EXPECT_EQ(Match(patterns, std::string(30, 'a') + "x17y", {.max_bytes = 64 << 10}), Hits{17});
}

TEST(LogRuleSetTest, NamesThePatternThatIsNone) {
  const std::vector<std::string> patterns = {"good", "(bad"};
  const auto set = LogRuleSet::Compile(patterns);
  ASSERT_FALSE(set);
  EXPECT_NE(set.error().message.find("pattern 1"), std::string::npos) << set.error().message;
}

TEST(LogRuleSetTest, GivesTheGroups) {
  const std::vector<std::string> patterns = {"process (\\d+) \\((\\w+)\\)"};
  const auto set = LogRuleSet::Compile(patterns);
  ASSERT_TRUE(set);
  EXPECT_EQ(set->Groups(0, "Killed process 7 (java)"),
            (std::vector<std::string_view>{"process 7 (java)", "7", "java"}));
  EXPECT_TRUE(set->Groups(0, "no").empty());
}

}  // namespace
}  // namespace faultline
