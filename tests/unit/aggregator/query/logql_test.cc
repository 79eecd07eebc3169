#include "aggregator/query/logql.h"

#include <gtest/gtest.h>

#include <map>

#include "aggregator/query/matrix.h"
#include "aggregator/query/number_text.h"
#include "tests/support/memory_store.h"

namespace faultline {
namespace {

class LogQl : public ::testing::Test {
 protected:
  void Log(const std::string& app, int64_t second, const std::string& text,
           v1::Severity severity = v1::SEVERITY_UNSPECIFIED, Labels attributes = {}) {
    store_.AddLog({{"app", app}, {"node", "n1"}},
                  {second * kNsPerSecond, text, severity, std::move(attributes)});
  }

  // "stream labels: line" in the order of the answer, or the error.
  std::vector<std::string> Lines(const std::string& text, bool newest_first = false,
                                 size_t limit = 100) {
    const auto query = LogQlQuery::Parse(text);
    if (!query) return {query.error().message};
    if (!query->is_log_query()) return {"not a log query"};
    const auto streams = query->Lines(store_, 0, 1000 * kNsPerSecond, limit, newest_first, {});
    if (!streams) return {streams.error().message};
    std::vector<std::string> lines;
    for (const LogStreamResult& stream : *streams) {
      for (const auto& line : stream.lines)
        lines.push_back(promql::LabelText(stream.labels) + ": " + line.second);
    }
    return lines;
  }

  std::map<std::string, std::string> Metric(const std::string& text, int64_t second) {
    const auto query = LogQlQuery::Parse(text);
    if (!query) return {{"error", query.error().message}};
    if (query->is_log_query()) return {{"error", "a log query"}};
    QueryOptions options;
    options.logs = &store_;
    const auto source = promql::MakeSeriesSource(&store_, {});
    const auto result = query->metric().At(second * 1000, *source, options);
    if (!result) return {{"error", result.error().message}};
    std::map<std::string, std::string> found;
    for (const ResultSeries& series : result->series) {
      found[promql::LabelText(series.labels)] = promql::GoFloatText(series.samples[0].value);
    }
    return found;
  }

  using Expected = std::map<std::string, std::string>;
  using Texts = std::vector<std::string>;
  MemoryStore store_;
};

TEST_F(LogQl, LineFilters) {
  Log("a", 1, "GET /x 200");
  Log("a", 2, "GET /y 500");
  Log("b", 3, "POST /x 200");
  EXPECT_EQ(Lines(R"q({app="a"} |= "500")q"), Texts{R"q({app="a", node="n1"}: GET /y 500)q"});
  EXPECT_EQ(Lines(R"q({app=~"a|b"} |~ "(GET|POST) /x" != "POST")q"),
            Texts{R"q({app="a", node="n1"}: GET /x 200)q"});
  EXPECT_EQ(Lines(R"q({app=~".+"} |= "POST" or "500" !~ `^GET`)q"),
            Texts{R"q({app="b", node="n1"}: POST /x 200)q"});
  EXPECT_EQ(Lines(R"q({app=~".+"})q", true, 1), Texts{R"q({app="b", node="n1"}: POST /x 200)q"});
  EXPECT_EQ(Lines(R"q({app="c"})q"), Texts{});
}

TEST_F(LogQl, TextStagesAndPatternFilters) {
  Log("a", 1, R"q({"pod":"p1","_entry":"inner text"})q");
  Log("a", 2, "\x1b[31mred\x1b[0m alert");
  Log("a", 3, "GET /x took 12ms");
  EXPECT_EQ(Lines(R"q({app="a"} |= "inner" | unpack | pod="p1" |= "inner text")q"),
            Texts{R"q({app="a", node="n1", pod="p1"}: inner text)q"});
  EXPECT_EQ(Lines(R"q({app="a"} | decolorize |= "red alert")q"), Texts{R"q({app="a", node="n1"}: red alert)q"});
  EXPECT_EQ(Lines(R"q({app="a"} |> "GET <_> took <_>ms")q"), Texts{R"q({app="a", node="n1"}: GET /x took 12ms)q"});
  EXPECT_EQ(Lines(R"q({app="a"} !> "<_>took<_>" or "<_>entry<_>" | decolorize)q"),
            Texts{R"q({app="a", node="n1"}: red alert)q"});
  EXPECT_EQ(Lines(R"q({app="a"} | line_format "new {{.app}}" |= "new a" |= "x")q"), Texts{});
  EXPECT_EQ(Lines(R"q({app="a"} |= "took" | line_format "new {{.app}}" |= "new a")q"),
            Texts{R"q({app="a", node="n1"}: new a)q"});
}

TEST_F(LogQl, TemplatesHaveFunctions) {
  Log("a", 1, "path=/x/y?z=1 took=1500ms user=bob");
  const auto line = [&](const std::string& text) {
    const auto lines = Lines("{app=\"a\"} | logfmt | line_format `" + text + "` | keep app");
    return lines.size() == 1 ? lines[0].substr(lines[0].find(": ") + 2) : "none";
  };
  EXPECT_EQ(line(R"q({{ .user | ToUpper }} {{ Replace .path "/" "-" 1 }})q"), "BOB -x/y?z=1");
  EXPECT_EQ(line(R"q({{ regexReplaceAll "([a-z])=([0-9])" .path "${2}:${1}" }})q"), "/x/y?1:z");
  EXPECT_EQ(line(R"q({{ if contains "b" .user }}yes{{ else }}no{{ end }} {{ .none | default "unset" }})q"), "yes unset");
  EXPECT_EQ(line(R"q({{ add 1 2 3 }} {{ div 7 2 }} {{ mulf 1.5 2 }} {{ duration .took }} {{ round 3.14159 2 }})q"), "6 3 3 1.5 3.14");
  EXPECT_EQ(line(R"q({{ __timestamp__ | date "2006-01-02T15:04:05.000Z07:00" }} {{ __line__ | trunc 5 }})q"), "1970-01-01T00:00:01.000Z path=");
  EXPECT_EQ(line(R"q({{ .user | alignRight 5 }}|{{ substr 1 -1 .user }}|{{ printf "%-5s" .user }}|)q"), "  bob|ob|bob  |");
  EXPECT_EQ(Lines(R"q({app="a"} | label_format up="{{ .app | upper }}")q"),
            Texts{R"q({app="a", node="n1", up="A"}: path=/x/y?z=1 took=1500ms user=bob)q"});
  EXPECT_NE(Lines(R"q({app="a"} | line_format "{{ add .app 1 }}")q")[0].find("TemplateFormatErr"), std::string::npos);
}

TEST_F(LogQl, AbsenceAndCounters) {
  Log("a", 10, "v=5");
  Log("a", 20, "v=8");
  Log("a", 30, "v=2");
  EXPECT_EQ(Metric(R"q(absent_over_time({app="a", node=~"n.*"} |= "none" [1m]))q", 40), (Expected{{R"q({app="a"})q", "1"}}));
  EXPECT_EQ(Metric(R"q(absent_over_time({app="a"}[1m]))q", 40), Expected{});
  EXPECT_EQ(Metric(R"q(absent_over_time({app="a"}[5s]))q", 40), (Expected{{R"q({app="a"})q", "1"}}));
  EXPECT_EQ(Metric(R"q(rate_counter({app="a"} | logfmt | unwrap v [50s]) by (app))q", 40), (Expected{{R"q({app="a"})q", "0.1"}}));
}

TEST_F(LogQl, ParsersAndLabelFilters) {
  Log("a", 1, R"q({"status":500,"http":{"path":"/x"},"took":"1.5s","app":"inner"})q");
  Log("a", 2, R"q(not json)q");
  Log("b", 3, R"q(level=warn msg="two words" size=2KiB)q");
  Log("c", 4, "10.0.0.1 - GET /z");
  EXPECT_EQ(
      Lines(
          R"q({app="a"} | json | status >= 500 | line_format "{{.http_path}} {{.app_extracted}}" | keep app)q"),
      Texts{R"q({app="a"}: /x inner)q"});
  EXPECT_EQ(
      Lines(R"q({app="a"} | json p="http.path" | __error__="" | drop node)q"),
      Texts{
          R"q({app="a", p="/x"}: {"status":500,"http":{"path":"/x"},"took":"1.5s","app":"inner"})q"});
  EXPECT_EQ(Lines(R"q({app="a"} | json | took > 1s and status=500 | keep app | line_format "x")q"),
            Texts{R"q({app="a"}: x)q"});
  EXPECT_EQ(
      Lines(
          R"q({app="b"} | logfmt | size>1KB, (level="warn" or level="error") | line_format "{{.msg}}" | keep app)q"),
      Texts{R"q({app="b"}: two words)q"});
  EXPECT_EQ(
      Lines(
          R"q({app="c"} | pattern "<ip> - <_> <path>" | line_format "{{.ip}}{{.path}}" | keep app)q"),
      Texts{R"q({app="c"}: 10.0.0.1/z)q"});
  EXPECT_EQ(Lines(R"q({app="c"} | regexp "(?P<verb>GET|PUT)" | keep verb)q"),
            Texts{R"q({verb="GET"}: 10.0.0.1 - GET /z)q"});
  EXPECT_EQ(Lines(R"q({app="c"} | label_format n=node, x="<{{.app}}>" | keep n, x)q"),
            Texts{R"q({n="n1", x="<c>"}: 10.0.0.1 - GET /z)q"});
}

TEST_F(LogQl, AttributesAndLevelsAreLabels) {
  Log("a", 1, "x", v1::SEVERITY_ERROR, {{"k8s.pod.name", "web-1"}});
  EXPECT_EQ(Lines(R"q({app="a"} | detected_level="error" | k8s_pod_name=~"web-.*" | drop node)q"),
            Texts{R"q({app="a", detected_level="error", k8s_pod_name="web-1"}: x)q"});
}

TEST_F(LogQl, RangeAggregations) {
  for (int i = 1; i <= 60; ++i) Log(i % 3 == 0 ? "b" : "a", i, "took=" + std::to_string(i) + "ms");
  EXPECT_EQ(Metric(R"q(sum by (app) (count_over_time({app=~".+"}[1m])))q", 60),
            (Expected{{R"q({app="a"})q", "40"}, {R"q({app="b"})q", "20"}}));
  EXPECT_EQ(Metric(R"q(sum(rate({app=~".+"} |= "took"[30s])))q", 60), (Expected{{"{}", "1"}}));
  EXPECT_EQ(Metric(R"q(sum(count_over_time({app=~".+"}[10s] offset 50s)))q", 60),
            (Expected{{"{}", "10"}}));
  EXPECT_EQ(Metric(R"q(bytes_over_time({app="b"}[3s]))q", 60),
            (Expected{{R"q({app="b", node="n1"})q", "9"}}));
  EXPECT_EQ(
      Metric(R"q(max_over_time({app="a"} | logfmt | unwrap duration(took) [1m]) by (app))q", 60),
      (Expected{{R"q({app="a"})q", "0.059"}}));
  EXPECT_EQ(Metric(R"q(topk(1, sum by (app) (count_over_time({app=~".+"}[1m]))) / 2)q", 60),
            (Expected{{R"q({app="a"})q", "20"}}));
  EXPECT_EQ(Metric("vector(1)+vector(1)", 60), (Expected{{"{}", "2"}}));
}

TEST_F(LogQl, CountsAreRightAtEveryStep) {
  for (int i = 1; i <= 50; ++i) Log("a", i * 7 % 300, "x");
  const auto query = LogQlQuery::Parse(R"q(sum(count_over_time({app="a"}[45s])))q");
  ASSERT_TRUE(query);
  QueryOptions options;
  options.logs = &store_;
  const auto source = promql::MakeSeriesSource(&store_, {});
  const auto range = query->metric().Over(0, 400'000, 10'000, *source, options);
  ASSERT_TRUE(range);
  for (int64_t t = 0; t <= 400; t += 10) {
    std::string in_range = "absent";
    for (const Sample& sample : range->series[0].samples) {
      if (sample.time_ms == t * 1000) in_range = promql::GoFloatText(sample.value);
    }
    const auto at = query->metric().At(t * 1000, *source, options);
    EXPECT_EQ(in_range,
              at->series.empty() ? "absent" : promql::GoFloatText(at->series[0].samples[0].value))
        << t;
    int64_t counted = 0;
    for (int64_t i = 1; i <= 50; ++i) counted += i * 7 % 300 <= t && i * 7 % 300 > t - 45;
    EXPECT_EQ(in_range, counted == 0 ? "absent" : std::to_string(counted)) << t;
  }
}

TEST_F(LogQl, ErrorsSayWhere) {
  const std::pair<std::string, std::string> cases[] = {
      {R"q({app="a"} |= )q", R"q(1:14: parse error: unexpected end of input, expected string)q"},
      {R"q({app="a")q", R"q(1:9: parse error: unexpected end of input, expected "," or "}")q"},
      {R"q({app="a"} | )q",
       R"q(1:13: parse error: unexpected end of input, expected a stage or a label)q"},
      {R"q({app="a"} | json | x > "5")q",
       R"q(1:22: parse error: a text can only be compared with =, !=, =~ and !~)q"},
      {R"q({app="a"} | distinct x)q", R"q(1:13: parse error: the stage distinct is not supported)q"},
      {R"q({app="a"} | line_format "{{.x | shout}}")q",
       R"q(1:13: parse error: invalid template: function "shout" not defined)q"},
      {R"q({app="a"} extra)q", R"q(1:11: parse error: unexpected "e", expected a stage)q"},
      {R"q(rate({app="a"}))q",
       R"q(1:15: parse error: unexpected ")", expected a stage or a range as [5m])q"},
      {R"q(up)q",
       R"q(1:1: parse error: a log selector must stand in a range aggregation, as rate({app="a"}[5m]))q"},
      {R"q(sum_over_time({app="a"}[5m]))q", R"q(1:1: parse error: sum_over_time needs | unwrap)q"},
      {R"q({app=~"("})q",
       R"q(1:5: parse error: error parsing regexp: missing closing ): `^(?:()$`)q"},
      {R"q(sum(rate({app="a"}[5m]) by)q",
       R"q(1:27: parse error: unexpected end of input, expected "(")q"},
  };
  for (const auto& [text, error] : cases) {
    const auto query = LogQlQuery::Parse(text);
    EXPECT_EQ(query ? "parsed" : query.error().message, error) << text;
  }
  Log("a", 1, "not json");
  EXPECT_NE(Metric(R"q(rate({app="a"} | json [5m]))q", 2)["error"].find(
                "pipeline error: 'JSONParserErr'"),
            std::string::npos);
}

}  // namespace
}  // namespace faultline
