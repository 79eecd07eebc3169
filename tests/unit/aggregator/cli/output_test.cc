// What the command prints, and what it understands.
#include <gtest/gtest.h>

#include <cmath>

#include "aggregator/cli/command.h"
#include "aggregator/cli/json_path.h"
#include "aggregator/cli/table.h"
#include "aggregator/cli/time_option.h"
#include "common/clock.h"

namespace faultline::cli {
namespace {

TEST(Table, AlignsByCharactersWithoutTrailingBlanks) {
  Table table({"NAME", "VALUE"});
  table.Add({"grün", "1"});
  table.Add({"a longer name", ""});
  EXPECT_EQ(table.Render(), "NAME            VALUE\ngrün            1\na longer name\n");
}

TEST(Sparkline, KeepsPeaksAndGaps) {
  EXPECT_EQ(Sparkline({0, 7}, 10), "▁█");
  EXPECT_EQ(Sparkline({0, NAN, 7}, 10), "▁ █");
  EXPECT_EQ(Sparkline({0, 0, 0, 9, 0, 0, 0, 0}, 2), "█▁");
  EXPECT_EQ(Sparkline({}, 10), "");
  EXPECT_EQ(Sparkline({5, 5}, 10), "▁▁");
}

TEST(Human, NumbersAndDurations) {
  EXPECT_EQ(HumanNumber(1234), "1234");
  EXPECT_EQ(HumanNumber(25'284'000'000.0), "25.28G");
  EXPECT_EQ(HumanDuration(200), "3m20s");
  EXPECT_EQ(HumanDuration(3 * 86400), "3d0h");
}

TEST(JsonPath, MissingPartsAreEmpty) {
  const auto value = boost::json::parse(R"({"a":{"b":[1,2],"c":"x"},"n":1.5})");
  EXPECT_EQ(TextAt(value, "a.c"), "x");
  EXPECT_EQ(TextAt(value, "a.c.d"), "");
  EXPECT_EQ(ArrayAt(value, "a.b").size(), 2u);
  EXPECT_TRUE(ArrayAt(value, "n").empty());
  EXPECT_EQ(NumberAt(value, "n"), 1.5);
}

TEST(Moment, TakesWhatPeopleType) {
  EXPECT_EQ(*ParseMoment("--time", "2026-11-20T10:00:00Z"), 1795168800ll * kNsPerSecond);
  EXPECT_EQ(*ParseMoment("--time", "1795168800.5"), 1795168800ll * kNsPerSecond + 500 * kNsPerMs);
  const int64_t now = SystemClock().UnixNs();
  EXPECT_NEAR(static_cast<double>(now - *ParseMoment("--time", "15m")), 900e9, 5e9);
  EXPECT_EQ(ParseMoment("--time", "yesterday").error().code, ErrorCode::kInvalidArgument);
}

TEST(Url, EncodesWhatMustBe) { EXPECT_EQ(UrlEncode("a b/{x=\"y\"}"), "a%20b%2F%7Bx%3D%22y%22%7D"); }

TEST(Catalogue, CommandsAreSortedAndDocumented) {
  std::string_view last;
  for (const CommandRow& row : CommandCatalogue()) {
    EXPECT_LT(last, row.name);
    EXPECT_FALSE(row.doc.empty()) << row.name;
    last = row.name;
  }
}

}  // namespace
}  // namespace faultline::cli
