#include "aggregator/store/label_index.h"

#include <gmock/gmock.h>
#include <fmt/format.h>
#include <gtest/gtest.h>

namespace faultline::store {
namespace {

using Op = LabelMatcher::Op;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

class LabelIndexTest : public ::testing::Test {
 protected:
  void SetUp() override {
    index_.Add(1, {{"__name__", "up"}, {"job", "node"}, {"zone", "a"}});
    index_.Add(2, {{"__name__", "up"}, {"job", "kube"}});
    index_.Add(3, {{"__name__", "load"}, {"job", "node"}, {"zone", "b"}});
    index_.Add(4, {{"__name__", "load"}, {"job", "node"}, {"zone", "c\nd"}});
  }
  std::vector<uint32_t> Select(std::vector<LabelMatcher> matchers) {
    const auto ids = index_.Select(matchers);
    return ids ? *ids : std::vector<uint32_t>{999};
  }
  LabelIndex index_;
};

TEST_F(LabelIndexTest, MatchesAsPrometheusDoes) {
  EXPECT_THAT(Select({}), ElementsAre(1, 2, 3, 4));
  EXPECT_THAT(Select({{Op::kEqual, "__name__", "up"}}), ElementsAre(1, 2));
  EXPECT_THAT(Select({{Op::kEqual, "__name__", "up"}, {Op::kEqual, "job", "node"}}),
              ElementsAre(1));
  EXPECT_THAT(Select({{Op::kEqual, "zone", ""}}), ElementsAre(2));
  EXPECT_THAT(Select({{Op::kNotEqual, "zone", ""}}), ElementsAre(1, 3, 4));
  EXPECT_THAT(Select({{Op::kNotEqual, "zone", "a"}}), ElementsAre(2, 3, 4));
  EXPECT_THAT(Select({{Op::kMatches, "zone", "a|b"}}), ElementsAre(1, 3));
  EXPECT_THAT(Select({{Op::kMatches, "zone", ".*"}}), ElementsAre(1, 2, 3));  // a dot is no newline
  EXPECT_THAT(Select({{Op::kMatches, "zone", ".+"}}), ElementsAre(1, 3));
  EXPECT_THAT(Select({{Op::kNotMatches, "zone", "a|"}}), ElementsAre(3, 4));
  EXPECT_THAT(Select({{Op::kMatches, "__name__", "u"}}), IsEmpty());  // anchored
  EXPECT_THAT(Select({{Op::kEqual, "nope", "x"}}), IsEmpty());
  EXPECT_THAT(Select({{Op::kNotEqual, "nope", "x"}}), ElementsAre(1, 2, 3, 4));
}

TEST_F(LabelIndexTest, ListsOfTextsAreLookedUp) {
  index_.Add(5, {{"__name__", "up"}, {"job", "a.b"}});
  index_.Add(6, {{"__name__", "up"}, {"job", "axb"}});
  EXPECT_THAT(Select({{Op::kMatches, "job", "(a\\.b|kube)"}}), ElementsAre(2, 5));
  EXPECT_THAT(Select({{Op::kMatches, "job", "(?:kube|none|kube)"}}), ElementsAre(2));
  EXPECT_THAT(Select({{Op::kMatches, "job", "a.b|kube"}}), ElementsAre(2, 5, 6));  // a dot is any
  EXPECT_THAT(Select({{Op::kMatches, "job", "(a\\.b)|(kube)"}}), ElementsAre(2, 5));
  EXPECT_THAT(Select({{Op::kNotMatches, "job", "node|kube"}}), ElementsAre(5, 6));
  EXPECT_THAT(Select({{Op::kMatches, "zone", "()"}}), ElementsAre(2, 5, 6));
  EXPECT_THAT(Select({{Op::kMatches, "zone", "b|"}}), ElementsAre(2, 3, 5, 6));
}

TEST_F(LabelIndexTest, RefusesWhatTakesTooLong) {
  std::string many, much;
  for (int i = 0; i < 400; ++i) many += fmt::format("{}.*{}.*x?", i == 0 ? "" : "|", i);
  for (int i = 0; i < 20'000; ++i) much += fmt::format("{}.*{}.*x?", i == 0 ? "" : "|", i);
  for (uint32_t i = 0; i < 20'000; ++i) {
    index_.Add(10 + i, {{"__name__", "m"}, {"pod", fmt::format("pod-{:x}-{:x}", i * 2654435761u, ~i)}});
  }
  for (const std::string& pattern : {many, much}) {
    const LabelMatcher matchers[] = {{Op::kMatches, "pod", pattern}};
    const auto ids = index_.Select(matchers);
    ASSERT_FALSE(ids);
    EXPECT_EQ(ids.error().code, ErrorCode::kResourceExhausted) << ids.error().message.substr(0, 200);
    EXPECT_THAT(ids.error().message, ::testing::StartsWith("label pod: "));
  }
  const LabelMatcher plain[] = {{Op::kMatches, "pod", "pod-.*-f.*"}};
  EXPECT_TRUE(index_.Select(plain));
}

TEST_F(LabelIndexTest, NamesABadExpression) {
  const LabelMatcher matchers[] = {{Op::kMatches, "zone", "a(b"}};
  const auto ids = index_.Select(matchers);
  ASSERT_FALSE(ids);
  EXPECT_EQ(ids.error().code, ErrorCode::kInvalidArgument);
  EXPECT_NE(ids.error().message.find("a(b"), std::string::npos);
}

TEST_F(LabelIndexTest, KnowsItsSeries) {
  EXPECT_EQ(index_.Find({{"__name__", "up"}, {"job", "kube"}}), 2u);
  EXPECT_EQ(index_.Find({{"__name__", "up"}}), 0u);
  EXPECT_FALSE(index_.Add(5, {{"__name__", "up"}, {"job", "kube"}}));
  EXPECT_EQ(index_.LabelsOf(3), (Labels{{"__name__", "load"}, {"job", "node"}, {"zone", "b"}}));
  EXPECT_TRUE(index_.LabelsOf(77).empty());
  EXPECT_THAT(index_.Names(), ElementsAre("__name__", "job", "zone"));
  EXPECT_THAT(index_.Values("job"), ElementsAre("kube", "node"));
  EXPECT_THAT(index_.ValuesOf("zone", std::vector<uint32_t>{1, 2}), ElementsAre("a"));
}

TEST_F(LabelIndexTest, ForgetsTheRemoved) {
  const uint32_t gone[] = {2, 3};
  index_.Remove(gone);
  EXPECT_THAT(Select({}), ElementsAre(1, 4));
  EXPECT_THAT(Select({{Op::kEqual, "job", "kube"}}), IsEmpty());
  EXPECT_EQ(index_.Find({{"__name__", "up"}, {"job", "kube"}}), 0u);
  EXPECT_TRUE(index_.Add(5, {{"__name__", "up"}, {"job", "kube"}}));
  EXPECT_THAT(index_.Values("job"), ElementsAre("kube", "node"));
}

TEST(LabelIndex, GrowsPastItsTables) {
  LabelIndex index;
  for (uint32_t id = 1; id <= 20'000; ++id) {
    ASSERT_TRUE(
        index.Add(id, {{"__name__", "m" + std::to_string(id % 7)}, {"id", std::to_string(id)}}));
  }
  for (uint32_t id = 1; id <= 20'000; id += 37) {
    EXPECT_EQ(index.Find({{"__name__", "m" + std::to_string(id % 7)}, {"id", std::to_string(id)}}),
              id);
  }
  const LabelMatcher matchers[] = {{Op::kEqual, "__name__", "m3"}, {Op::kMatches, "id", "1.*"}};
  const auto ids = index.Select(matchers);
  ASSERT_TRUE(ids);
  EXPECT_EQ(ids->size(), 1588u);
}

TEST(Labels, SortFormatAndLookUp) {
  Labels labels = {{"b", "2"}, {"a", "say \"hi\"\n"}};
  SortLabels(labels);
  EXPECT_EQ(FormatLabels(labels), "{a=\"say \\\"hi\\\"\\n\",b=\"2\"}");
  EXPECT_EQ(LabelValue(labels, "b"), "2");
  EXPECT_EQ(LabelValue(labels, "c"), "");
  EXPECT_TRUE(IsStale(StaleMarker()));
  EXPECT_FALSE(IsStale(std::numeric_limits<double>::quiet_NaN()));
}

}  // namespace
}  // namespace faultline::store
