#include "aggregator/query/promql.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <map>

#include "aggregator/labels/ground_truth.h"
#include "aggregator/query/matrix.h"
#include "aggregator/query/number_text.h"
#include "tests/support/memory_store.h"

namespace faultline {
namespace {

using promql::ValueType;

class PromQl : public ::testing::Test {
 protected:
  // `text` as name{a="b"}; one sample per `step_ms` from 0.
  void Load(const std::string& name, Labels labels, const std::vector<double>& values,
            int64_t step_ms = 15'000) {
    labels.emplace_back("__name__", name);
    std::vector<Sample> samples;
    for (size_t i = 0; i < values.size(); ++i) {
      samples.push_back({static_cast<int64_t>(i) * step_ms, values[i]});
    }
    store_.Add(labels, samples);
  }

  // Labels and value of each element, or the error's message under "error".
  std::map<std::string, std::string> At(const std::string& text, int64_t time_ms) {
    std::map<std::string, std::string> found;
    const auto query = PromQuery::Parse(text);
    if (!query) return {{"error", query.error().message}};
    const auto source = promql::MakeSeriesSource(&store_, {});
    const auto result = query->At(time_ms, *source, options_);
    if (!result) return {{"error", result.error().message}};
    if (result->type == ValueType::kScalar) found["scalar"] = promql::GoFloatText(result->scalar);
    if (result->type == ValueType::kString) found["string"] = result->text;
    for (const ResultSeries& series : result->series) {
      std::string& values = found[promql::LabelText(series.labels)];
      for (const Sample& sample : series.samples) {
        if (!values.empty()) values += ' ';
        values += promql::GoFloatText(sample.value);
      }
    }
    return found;
  }

  using Expected = std::map<std::string, std::string>;
  MemoryStore store_;
  QueryOptions options_;
};

TEST_F(PromQl, SelectorsLookBackFiveMinutes) {
  Load("up", {{"job", "a"}}, {1, 1, 0});
  EXPECT_EQ(At("up", 30'000), (Expected{{R"({__name__="up", job="a"})", "0"}}));
  EXPECT_EQ(At("up", 330'000), (Expected{{R"({__name__="up", job="a"})", "0"}}));
  EXPECT_EQ(At("up", 330'001), Expected{});
  EXPECT_EQ(At("up offset 30s", 30'000), (Expected{{R"({__name__="up", job="a"})", "1"}}));
  EXPECT_EQ(At("up @ 15", 900'000), (Expected{{R"({__name__="up", job="a"})", "1"}}));
  EXPECT_EQ(At("up[20s]", 30'000), (Expected{{R"({__name__="up", job="a"})", "1 0"}}));
}

TEST_F(PromQl, StaleMarkersEndASeries) {
  Load("up", {}, {1, StaleMarker(), 3});
  EXPECT_EQ(At("up", 20'000), Expected{});
  EXPECT_EQ(At("count_over_time(up[1m])", 30'000), (Expected{{"{}", "2"}}));
}

TEST_F(PromQl, RatesExtrapolateAndSeeResets) {
  Load("c", {}, {0, 10, 20, 5, 15});
  EXPECT_EQ(At("increase(c[1m])", 60'000), (Expected{{"{}", "35"}}));
  EXPECT_EQ(At("resets(c[1m])", 60'000), (Expected{{"{}", "1"}}));
  EXPECT_EQ(At("irate(c[1m])", 60'000), (Expected{{"{}", "0.6666666666666666"}}));
  EXPECT_EQ(At("delta(c[1m])", 60'000), (Expected{{"{}", "15"}}));
  EXPECT_EQ(At("rate(c[10s])", 60'000), Expected{});
}

TEST_F(PromQl, Aggregations) {
  Load("m", {{"g", "x"}, {"i", "1"}}, {1});
  Load("m", {{"g", "x"}, {"i", "2"}}, {3});
  Load("m", {{"g", "y"}, {"i", "1"}}, {10});
  EXPECT_EQ(At("sum by (g) (m)", 0), (Expected{{R"({g="x"})", "4"}, {R"({g="y"})", "10"}}));
  EXPECT_EQ(At("avg without (i) (m)", 0), (Expected{{R"({g="x"})", "2"}, {R"({g="y"})", "10"}}));
  EXPECT_EQ(At("topk(1, m)", 0), (Expected{{R"({__name__="m", g="y", i="1"})", "10"}}));
  EXPECT_EQ(At("quantile(0.5, m)", 0), (Expected{{"{}", "3"}}));
  EXPECT_EQ(At("stddev(m{g=\"x\"})", 0), (Expected{{"{}", "1"}}));
  EXPECT_EQ(At("count_values(\"v\", m > 2)", 0),
            (Expected{{R"({v="10"})", "1"}, {R"({v="3"})", "1"}}));
  EXPECT_EQ(At("group(m)", 0), (Expected{{"{}", "1"}}));
}

TEST_F(PromQl, VectorMatching) {
  Load("a", {{"i", "1"}, {"x", "p"}}, {6});
  Load("a", {{"i", "2"}, {"x", "p"}}, {8});
  Load("b", {{"i", "1"}, {"x", "p"}}, {2});
  Load("t", {{"x", "p"}, {"zone", "z"}}, {4});
  EXPECT_EQ(At("a / b", 0), (Expected{{R"({i="1", x="p"})", "3"}}));
  EXPECT_EQ(
      At("a * on (x) group_left (zone) t", 0),
      (Expected{{R"({i="1", x="p", zone="z"})", "24"}, {R"({i="2", x="p", zone="z"})", "32"}}));
  EXPECT_EQ(At("t < bool on (x) group_right a", 0),
            (Expected{{R"({i="1", x="p"})", "1"}, {R"({i="2", x="p"})", "1"}}));
  EXPECT_EQ(At("a unless b", 0), (Expected{{R"({__name__="a", i="2", x="p"})", "8"}}));
  EXPECT_EQ(At("a and on (x) t > 7", 0), Expected{});
  EXPECT_EQ(At("a > 7 or b", 0), (Expected{{R"({__name__="a", i="2", x="p"})", "8"},
                                           {R"({__name__="b", i="1", x="p"})", "2"}}));
  EXPECT_EQ(At("t * on (x) a", 0)["error"],
            "found duplicate series for the match group {x=\"p\"} on the right hand-side of the "
            "operation: "
            "[{__name__=\"a\", i=\"2\", x=\"p\"}, {__name__=\"a\", i=\"1\", x=\"p\"}];many-to-many "
            "matching not "
            "allowed: matching labels must be unique on one side");
  EXPECT_EQ(At("a * on (x) t", 0)["error"],
            "multiple matches for labels: many-to-one matching must be explicit "
            "(group_left/group_right)");
}

TEST_F(PromQl, ScalarsAndPrecedence) {
  EXPECT_EQ(At("1 + 2 * 3 ^ 2 ^ 0", 0)["scalar"], "7");
  EXPECT_EQ(At("-2 ^ 2", 0)["scalar"], "-4");
  EXPECT_EQ(At("2 > bool 1", 0)["scalar"], "1");
  EXPECT_EQ(At("0x1F + 1e2", 0)["scalar"], "131");
  EXPECT_EQ(At("-Inf", 0)["scalar"], "-Inf");
  EXPECT_EQ(At("\"a\\tb\"", 0)["string"], "a\tb");
  EXPECT_EQ(At("vector(1) + vector(1)", 0), (Expected{{"{}", "2"}}));
}

TEST_F(PromQl, Subqueries) {
  Load("g", {}, {1, 2, 3, 4, 5, 6, 7, 8}, 60'000);
  EXPECT_EQ(At("max_over_time(g[3m:1m])", 300'000), (Expected{{"{}", "6"}}));
  EXPECT_EQ(At("sum_over_time((g * 2)[2m:1m] offset 1m)", 300'000), (Expected{{"{}", "24"}}));
  EXPECT_EQ(At("g[2m:1m]", 120'000), (Expected{{R"({__name__="g"})", "1 2 3"}}));
}

TEST_F(PromQl, HistogramQuantiles) {
  Load("h_bucket", {{"le", "1"}}, {2});
  Load("h_bucket", {{"le", "2"}}, {6});
  Load("h_bucket", {{"le", "+Inf"}}, {8});
  EXPECT_EQ(At("histogram_quantile(0.5, h_bucket)", 0), (Expected{{"{}", "1.5"}}));
  EXPECT_EQ(At("histogram_quantile(0.99, h_bucket)", 0), (Expected{{"{}", "2"}}));
  EXPECT_EQ(At("histogram_quantile(2, h_bucket)", 0), (Expected{{"{}", "+Inf"}}));
}

TEST_F(PromQl, LabelFunctions) {
  Load("m", {{"host", "web-3"}}, {1});
  EXPECT_EQ(At(R"q(label_replace(m, "n", "$1", "host", "web-(\\d+)"))q", 0),
            (Expected{{R"({__name__="m", host="web-3", n="3"})", "1"}}));
  EXPECT_EQ(At(R"q(label_join(m, "j", "/", "host", "host"))q", 0),
            (Expected{{R"({__name__="m", host="web-3", j="web-3/web-3"})", "1"}}));
  EXPECT_EQ(At(R"q(absent(nothing{a="b", c=~"d"}))q", 0), (Expected{{R"({a="b"})", "1"}}));
  EXPECT_EQ(At(R"q(absent_over_time(m[5m]))q", 0), Expected{});
}

TEST_F(PromQl, DatesAndTime) {
  EXPECT_EQ(At("time()", 1'500)["scalar"], "1.5");
  EXPECT_EQ(At("days_in_month(vector(1709208000))", 0), (Expected{{"{}", "29"}}));
  EXPECT_EQ(At("hour()", 3'600'000), (Expected{{"{}", "1"}}));
  EXPECT_EQ(At("day_of_year(vector(0))", 0), (Expected{{"{}", "1"}}));
}

TEST_F(PromQl, RangesAreSortedAndAligned) {
  Load("m", {{"i", "2"}}, {1, 2, 3});
  Load("m", {{"i", "1"}}, {4, 5, 6});
  const auto query = PromQuery::Parse("m");
  const auto source = promql::MakeSeriesSource(&store_, {});
  const auto result = query->Over(0, 40'000, 20'000, *source, options_);
  ASSERT_TRUE(result);
  ASSERT_EQ(result->series.size(), 2u);
  EXPECT_EQ(LabelValue(result->series[0].labels, "i"), "1");
  ASSERT_EQ(result->series[1].samples.size(), 3u);
  EXPECT_EQ(result->series[1].samples[1].time_ms, 20'000);
  EXPECT_EQ(result->series[1].samples[1].value, 2);
  EXPECT_FALSE(PromQuery::Parse("m[5m]")->Over(0, 1, 1, *source, options_));
}

TEST_F(PromQl, LimitsAreNamed) {
  for (int i = 0; i < 20; ++i) Load("m", {{"i", std::to_string(i)}}, {1});
  options_.max_samples = 10;
  EXPECT_NE(At("m + 1", 0)["error"].find("max_samples=10"), std::string::npos);
  EXPECT_NE(At("sum_over_time(vector(1)[1y:1ms])", 0)["error"].find("too many samples"),
            std::string::npos);
  EXPECT_EQ(At("sum(m)", 0), (Expected{{"{}", "20"}}));  // streamed: one series at a time
  options_.max_points = 19;
  EXPECT_EQ(At("sum(m)", 0)["error"], "query would be evaluated for 20 series at 1 steps (limit query.max_points=19)");
  options_.max_points = 20;
  EXPECT_EQ(At("sum(rate(m[5m]))", 0), Expected{});
  const std::atomic<bool> cancelled = true;
  options_.cancelled = &cancelled;
  EXPECT_EQ(At("m", 0)["error"], "query was canceled in expression evaluation");
}

TEST_F(PromQl, FaultsAreSeries) {
  Load("up", {{"node", "n1"}}, {1, 1, 1, 1, 1, 1, 1, 1, 1});
  FaultLabel fault;
  fault.uid = "u1";
  fault.fault = "cpu_stress";
  fault.node = "n1";
  fault.begin_unix_ns = 31'500 * kNsPerMs;
  fault.end_unix_ns = 62'250 * kNsPerMs;
  const auto source = promql::MakeSeriesSource(&store_, [&](int64_t begin_ns, int64_t end_ns) {
    const bool overlaps = fault.begin_unix_ns <= end_ns && fault.end_unix_ns >= begin_ns;
    return overlaps ? std::vector<FaultLabel>{fault} : std::vector<FaultLabel>{};
  });
  const auto active_at = [&](const std::string& text, int64_t time_ms) {
    const auto result = PromQuery::Parse(text)->At(time_ms, *source, options_);
    return result ? static_cast<int>(result->series.size()) : -1;
  };
  EXPECT_EQ(active_at("faultline_fault_active", 31'499), 0);
  EXPECT_EQ(active_at("faultline_fault_active", 31'500), 1);
  EXPECT_EQ(active_at("faultline_fault_active{fault=~\"cpu.*\"}", 62'249), 1);
  EXPECT_EQ(active_at("faultline_fault_active", 62'250), 0);
  EXPECT_EQ(active_at("up and on (node) faultline_fault_active", 40'000), 1);
  EXPECT_EQ(active_at("up unless on (node) faultline_fault_active", 40'000), 0);
  EXPECT_EQ(active_at("faultline_fault_active{node=\"n2\"}", 40'000), 0);
  EXPECT_EQ(active_at("max_over_time(faultline_fault_active[1m])", 110'000), 1);
  // Samples come every 15 s: those at 45 and 60 lie in the window.
  const promql::FaultLabels faults = [&](int64_t, int64_t) { return std::vector<FaultLabel>{fault}; };
  const auto count = [&](bool only, const std::string& name) {
    const auto windowed = promql::MakeWindowedSource(promql::MakeSeriesSource(&store_, faults), faults,
                                                     {{LabelMatcher::Op::kEqual, "fault", name}}, only);
    const auto result = PromQuery::Parse("count_over_time(up[5m])")->At(80'000, *windowed, options_);
    return result->series.empty() ? 0.0 : result->series[0].samples[0].value;
  };
  EXPECT_EQ(count(true, "cpu_stress"), 2);
  EXPECT_EQ(count(false, "cpu_stress"), 4);
  EXPECT_EQ(count(true, "other"), 0);
  EXPECT_EQ(count(false, "other"), 6);
}

struct BadQuery {
  std::string text;
  std::string error;
};

TEST_F(PromQl, ParseErrorsSayWhere) {
  const BadQuery cases[] = {
      {"", "1:1: parse error: no expression found in input"},
      {"sum(", "1:5: parse error: unclosed left parenthesis"},
      {"foo{a=1}", "1:7: parse error: unexpected character inside braces: '1'"},
      {"foo +", "1:6: parse error: unexpected end of input"},
      {"sum by foo (bar)",
       "1:8: parse error: unexpected identifier \"foo\" in grouping opts, expected \"(\""},
      {"rate(foo)",
       "1:6: parse error: expected type range vector in call to function \"rate\", got instant "
       "vector"},
      {"nope(foo)", "1:1: parse error: unknown function with name \"nope\""},
      {"1 == 1", "1:3: parse error: comparisons between scalars must use BOOL modifier"},
      {"{}", "1:1: parse error: vector selector must contain at least one non-empty matcher"},
      {"foo[5m] offset", "1:15: parse error: unexpected end of input in offset, expected duration"},
      {"foo[5]", "1:5: parse error: missing unit character in duration"},
      {"foo{a=~\"(\"}", "1:5: parse error: error parsing regexp: missing closing ): `^(?:()$`"},
      {"foo\n $", "2:2: parse error: unexpected character: '$'"},
      {"(foo + bar)[5m]", "1:12: parse error: ranges only allowed for vector selectors"},
      {"clamp(foo, 1)", "1:1: parse error: expected 3 argument(s) in call to \"clamp\", got 2"},
  };
  for (const BadQuery& bad : cases) EXPECT_EQ(At(bad.text, 0)["error"], bad.error) << bad.text;
}

TEST_F(PromQl, DeepNestingIsRefusedNotCrashed) {
  EXPECT_NE(At(std::string(5000, '(') + "1" + std::string(5000, ')'), 0)["error"].find(
                "nested too deeply"),
            std::string::npos);
  std::string chain = "1";
  for (int i = 0; i < 20'000; ++i) chain += "+1";
  EXPECT_NE(At(chain, 0)["error"].find("nested too deeply"), std::string::npos);
  EXPECT_NE(At(std::string(20'000, '-') + "x", 0)["error"].find("nested too deeply"),
            std::string::npos);
}

TEST(NumberText, IsGos) {
  const auto sample = [](double value) {
    std::string out;
    promql::AppendSampleValue(out, value);
    return out;
  };
  EXPECT_EQ(sample(1e21), "1e+21");
  EXPECT_EQ(sample(123456789012345680000.0), "123456789012345680000");
  EXPECT_EQ(sample(1e-7), "1e-07");
  EXPECT_EQ(sample(0.000001), "0.000001");
  EXPECT_EQ(sample(-0.0), "-0");
  EXPECT_EQ(sample(1.5), "1.5");
  EXPECT_EQ(sample(-3), "-3");
  EXPECT_EQ(sample(std::numeric_limits<double>::infinity()), "+Inf");
  EXPECT_EQ(promql::GoFloatText(1e22), "10000000000000000000000");
  std::string time;
  promql::AppendTimestamp(time, 1435781430081);
  EXPECT_EQ(time, "1435781430.081");
}

}  // namespace
}  // namespace faultline
