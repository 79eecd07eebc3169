#include "aggregator/objects/label_selector.h"

#include <gtest/gtest.h>

namespace faultline {
namespace {

bool Matches(std::string_view selector, const std::map<std::string, std::string>& labels) {
  const auto parsed = LabelSelector::Parse(selector);
  EXPECT_TRUE(parsed) << (parsed ? "" : parsed.error().message);
  return parsed && parsed->Matches(labels);
}

TEST(LabelSelectorTest, EveryOperator) {
  const std::map<std::string, std::string> labels = {{"app", "web"}, {"app.kubernetes.io/tier", "x"}};
  EXPECT_TRUE(Matches("", labels));
  EXPECT_TRUE(Matches("app=web", labels));
  EXPECT_TRUE(Matches(" app == web , app.kubernetes.io/tier = x ", labels));
  EXPECT_FALSE(Matches("app=db", labels));
  EXPECT_TRUE(Matches("app!=db,missing!=x", labels));
  EXPECT_TRUE(Matches("app in (db, web)", labels));
  EXPECT_FALSE(Matches("app notin (db, web)", labels));
  EXPECT_TRUE(Matches("missing notin (a)", labels));
  EXPECT_TRUE(Matches("app,!missing", labels));
  EXPECT_FALSE(Matches("!app", labels));
  EXPECT_TRUE(Matches("in=x", {{"in", "x"}}));
}

TEST(LabelSelectorTest, ErrorsSayWhere) {
  const auto error = [](std::string_view text) {
    const auto parsed = LabelSelector::Parse(text);
    return parsed ? std::string("accepted") : parsed.error().message;
  };
  EXPECT_EQ(error("a=b,,c"), "label selector 'a=b,,c': expected a label name at byte 4");
  EXPECT_EQ(error("a in b"), "label selector 'a in b': expected ( at byte 5");
  EXPECT_EQ(error("a in (b"), "label selector 'a in (b': expected ) or , at byte 7");
  EXPECT_EQ(error("a ~ b"), "label selector 'a ~ b': unexpected text at byte 2");
  EXPECT_EQ(error("a like b"), "label selector 'a like b': expected =, !=, in or notin at byte 6");
}

}  // namespace
}  // namespace faultline
