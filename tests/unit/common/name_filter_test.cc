#include "common/name_filter.h"

#include <gtest/gtest.h>

#include "common/family_cache.h"

namespace faultline {
namespace {

TEST(NameFilter, MatchesAndRemembers) {
  auto filter = NameFilter::Create("^lo$|^veth");
  ASSERT_TRUE(filter);
  for (int i = 0; i < 2; ++i) {
    EXPECT_TRUE(filter->Matches("lo"));
    EXPECT_TRUE(filter->Matches("veth12"));
    EXPECT_FALSE(filter->Matches("eth0"));
  }
  EXPECT_FALSE(NameFilter::Create("")->Matches("anything"));
  EXPECT_EQ(NameFilter::Create("(").error().code, ErrorCode::kInvalidArgument);
}

TEST(FamilyCache, MakesEachFamilyOnceAndFollowsTheOrder) {
  FamilyCache cache;
  int made = 0;
  const auto make = [&](std::string_view key) -> std::optional<OwnedFamily> {
    ++made;
    if (key == "skip") return std::nullopt;
    return OwnedFamily{"x_" + MetricName(key), v1::METRIC_TYPE_GAUGE, "help"};
  };
  for (const std::vector<std::string_view>& pass :
       {std::vector<std::string_view>{"a", "skip", "b(c)"},
        {"b(c)", "a", "skip"},
        {"a", "new", "b(c)"}}) {
    cache.Begin();
    for (const std::string_view key : pass) {
      const MetricFamily* family = cache.Get(key, make);
      if (key == "skip") {
        EXPECT_EQ(family, nullptr);
      } else {
        ASSERT_NE(family, nullptr);
        EXPECT_EQ(family->name, "x_" + MetricName(key));
      }
    }
  }
  EXPECT_EQ(made, 4);
  EXPECT_EQ(MetricName("a-b.c:d9"), "a_b_c:d9");
}

}  // namespace
}  // namespace faultline
