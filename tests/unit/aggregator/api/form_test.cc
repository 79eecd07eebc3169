#include "aggregator/api/form.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace faultline {
namespace {

using ::testing::ElementsAre;
using ::testing::Pair;

TEST(FormTest, DecodesPairsInOrder) {
  std::vector<std::pair<std::string, std::string>> pairs;
  ASSERT_TRUE(DecodeForm("query=up%7Ba%3D%22b%22%7D&match[]=a+b&match[]=c%2Bd&flag&&x=", pairs));
  EXPECT_THAT(pairs, ElementsAre(Pair("query", "up{a=\"b\"}"), Pair("match[]", "a b"),
                                 Pair("match[]", "c+d"), Pair("flag", ""), Pair("x", "")));
}

TEST(FormTest, RefusesBrokenEscapesAndNul) {
  std::vector<std::pair<std::string, std::string>> pairs;
  EXPECT_FALSE(DecodeForm("a=%zz", pairs));
  EXPECT_FALSE(DecodeForm("a=%4", pairs));
  const auto nul = DecodeForm("query=a%00b", pairs);
  ASSERT_FALSE(nul);
  EXPECT_EQ(nul.error().message, "parameter query: NUL byte at byte 1");
}

TEST(FormTest, RefusesTooManyPairs) {
  std::string text;
  for (size_t i = 0; i <= kMaxFormPairs; ++i) text += "a&";
  std::vector<std::pair<std::string, std::string>> pairs;
  EXPECT_FALSE(DecodeForm(text, pairs));
  EXPECT_EQ(pairs.size(), kMaxFormPairs);
}

TEST(FormTest, PathPartsAreDecodedAfterSplitting) {
  EXPECT_THAT(*DecodePath("/a/b%2Fc/d+e/"), ElementsAre("a", "b/c", "d+e"));
  EXPECT_TRUE(DecodePath("/")->empty());
  EXPECT_FALSE(DecodePath("a/b"));
  EXPECT_FALSE(DecodePath("*"));
  EXPECT_FALSE(DecodePath("/a%"));
  EXPECT_FALSE(DecodePath(std::string(100, '/')));
}

}  // namespace
}  // namespace faultline
