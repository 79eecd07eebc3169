#include "agent/faults/fault_parameters.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "agent/faults/fault.h"
#include "agent/faults/fault_tag.h"
#include "agent/faults/network_addresses.h"

namespace faultline {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr ParameterRow kRows[] = {
    {.name = "latency", .kind = ParameterKind::kDuration, .doc = "", .required = true, .min = 1e6},
    {.name = "percent", .kind = ParameterKind::kPercent, .fallback = "100"},
    {.name = "direction",
     .kind = ParameterKind::kChoice,
     .fallback = "to",
     .choices = "to from both"},
    {.name = "rate", .kind = ParameterKind::kRate},
};

TEST(FaultParameters, DefaultsAreFilledIn) {
  const auto checked = AcceptParameters(kRows, {{"latency", "100ms"}}, "slow");
  ASSERT_TRUE(checked) << checked.error().message;
  FaultSpec spec;
  spec.parameters = *checked;
  EXPECT_EQ(spec.DurationNs("latency"), 100'000'000);
  EXPECT_EQ(spec.Number("percent"), 100);
  EXPECT_EQ(spec.Text("direction"), "to");
  EXPECT_FALSE(spec.Has("rate"));
}

TEST(FaultParameters, RefusalsNameTheParameter) {
  const auto refusal = [](ParameterTexts given) {
    const auto checked = AcceptParameters(kRows, given, "slow");
    return checked ? "accepted" : checked.error().message;
  };
  EXPECT_THAT(refusal({}), HasSubstr("parameters.latency: slow needs it"));
  EXPECT_THAT(refusal({{"latency", "1us"}}),
              HasSubstr("parameters.latency: '1us' is not duration, at least 1ms"));
  EXPECT_THAT(refusal({{"latency", "1s"}, {"direction", "up"}}), HasSubstr("one of: to from both"));
  EXPECT_THAT(refusal({{"latency", "1s"}, {"colour", "red"}}),
              HasSubstr("parameters.colour: slow knows latency"));
}

TEST(FaultParameters, RatesAreTheOnesOfTc) {
  EXPECT_EQ(ParseRateBytesPerS("8bit"), 1);
  EXPECT_EQ(ParseRateBytesPerS("1mbit"), 125'000);
  EXPECT_EQ(ParseRateBytesPerS("1mbps"), 1'000'000) << "bps are bytes";
  EXPECT_EQ(ParseRateBytesPerS("1kibit"), 128);
  EXPECT_FALSE(ParseRateBytesPerS("1mb"));
  EXPECT_FALSE(ParseRateBytesPerS("fast"));
}

TEST(FaultParameters, DurationsAreGos) {
  EXPECT_EQ(ParseSignedDurationNs("-10m"), -600'000'000'000);
  EXPECT_EQ(ParseSignedDurationNs("1.5h"), 5'400'000'000'000);
  EXPECT_EQ(ParseSignedDurationNs("1h30m"), 5'400'000'000'000);
  EXPECT_EQ(ParseSignedDurationNs("0"), 0);
  EXPECT_FALSE(ParseSignedDurationNs("10"));
  EXPECT_FALSE(ParseSignedDurationNs(""));
}

TEST(FaultParameters, ListsInTwoForms) {
  EXPECT_THAT(*ParseList("a, b"), ElementsAre("a", "b"));
  EXPECT_THAT(*ParseList(R"(["a,b","line\nnext \"x\""])"), ElementsAre("a,b", "line\nnext \"x\""));
  EXPECT_TRUE(ParseList("")->empty());
  EXPECT_FALSE(ParseList("[\"a\""));
  EXPECT_FALSE(ParseList("[1]"));
}

TEST(FaultParameters, BadValuesAreBad) {
  for (const ParameterRow& row : kRows) {
    for (const std::string& value : BadValues(row))
      EXPECT_FALSE(AcceptParameters({&row, 1}, {{std::string(row.name), value}}, "slow"))
          << row.name << "=" << value;
  }
}

TEST(FaultTag, FitsADeviceName) {
  const std::string tag = FaultTag("/var/lib/faultline/agent/faults", "uid-1");
  EXPECT_EQ(tag.size(), 15u);
  EXPECT_TRUE(tag.starts_with(HomeTag("/var/lib/faultline/agent/faults")));
  EXPECT_NE(tag, FaultTag("/var/lib/faultline/agent/faults", "uid-2"));
}

TEST(NetworkAddresses, FromTheRoutingTrie) {
  EXPECT_THAT(
      LocalAddresses(
          "Main:\n  +-- 0.0.0.0/0 2 0 2\n     |-- 10.99.0.0\n        /24 link UNICAST\n"
          "     |-- 10.99.0.1\n        /32 host LOCAL\n     |-- 127.0.0.1\n        /32 host LOCAL\n"
          "Local:\n     |-- 10.99.0.1\n        /32 host LOCAL\n"),
      ElementsAre("10.99.0.1"));
}

}  // namespace
}  // namespace faultline
