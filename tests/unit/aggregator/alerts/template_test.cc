#include "aggregator/alerts/template.h"

#include <gtest/gtest.h>

namespace faultline::alerts {
namespace {

std::string Expand(std::string_view text, double value = 1.5) {
  TemplateContext context;
  context.labels = {{"instance", "web1:9090"}, {"job", "api"}};
  context.external_url = "http://here/prefix";
  context.value = value;
  context.query = [](const std::string& query) -> Result<QueryResult> {
    QueryResult result;
    result.type = promql::ValueType::kVector;
    if (query != "none") result.series = {{{{"a", "2"}}, {{1, 20}}}, {{{"a", "1"}}, {{1, 10}}}};
    return result;
  };
  const auto expanded = ExpandTemplate(text, context);
  return expanded ? *expanded : "error: " + expanded.error().message;
}

TEST(Template, Text) {
  EXPECT_EQ(Expand("{{ $labels.instance }} of {{ .Labels.job }} is {{ $value }}"), "web1:9090 of api is 1.5");
  EXPECT_EQ(Expand("[{{ $labels.none }}]"), "[]");
  EXPECT_EQ(Expand("a {{- /* x */ -}} b {{- 1 -}} c"), "ab1c");
  EXPECT_EQ(Expand("{{ `raw}}` }}{{ \"q\\\"}}\" }}"), "raw}}q\"}}");
  EXPECT_EQ(Expand("{{ pathPrefix }} {{ externalURL }}"), "/prefix http://here/prefix");
}

TEST(Template, Flow) {
  EXPECT_EQ(Expand("{{ if gt $value 1.0 }}a{{ else if true }}b{{ else }}c{{ end }}"), "a");
  EXPECT_EQ(Expand("{{ if false }}a{{ else if eq .Value 1.5 }}b{{ else }}c{{ end }}"), "b");
  EXPECT_EQ(Expand("{{ range query \"x\" | sortByLabel \"a\" }}{{ .Labels.a }}={{ . | value }};{{ end }}"), "1=10;2=20;");
  EXPECT_EQ(Expand("{{ range query \"none\" }}x{{ else }}nothing{{ end }}"), "nothing");
  EXPECT_EQ(Expand("{{ range $i, $e := query \"x\" }}{{ if $i }},{{ end }}{{ $e.Labels.a }}{{ end }}"), "2,1");
  EXPECT_EQ(Expand("{{ range query \"x\" }}{{ .Labels.a }}{{ break }}{{ end }}"), "2");
  EXPECT_EQ(Expand("{{ with $labels.job }}<{{ . }}>{{ end }}{{ with \"\" }}x{{ else }}none{{ end }}"), "<api>none");
  EXPECT_EQ(Expand("{{ define \"t\" }}({{ . }}){{ end }}{{ template \"t\" $value }}"), "(1.5)");
  EXPECT_EQ(Expand("{{ $x := 1 }}{{ if true }}{{ $x = 2 }}{{ end }}{{ $x }}"), "2");
}

TEST(Template, Numbers) {
  EXPECT_EQ(Expand("{{ $value }}", 1e6), "1e+06");
  EXPECT_EQ(Expand("{{ $value }}", 123456), "123456");
  EXPECT_EQ(Expand("{{ humanize $value }}", 1234567), "1.235M");
  EXPECT_EQ(Expand("{{ humanize1024 $value }}", 2048), "2ki");
  EXPECT_EQ(Expand("{{ humanizeDuration $value }}", 90061), "1d 1h 1m 1s");
  EXPECT_EQ(Expand("{{ humanizeDuration $value }}", 0.0125), "12.5ms");
  EXPECT_EQ(Expand("{{ humanizePercentage $value }}", 0.1234), "12.34%");
  EXPECT_EQ(Expand("{{ humanizeTimestamp $value }}", 1435065584.128), "2015-06-23 13:19:44.128 +0000 UTC");
  EXPECT_EQ(Expand("{{ printf \"%.1f|%5s|%-5s|%d|%q|%%\" $value \"a\" \"b\" 7 \"c\" }}"), "1.5|    a|b    |7|\"c\"|%");
}

TEST(Template, Texts) {
  EXPECT_EQ(Expand("{{ $labels.instance | stripPort | toUpper }}"), "WEB1");
  EXPECT_EQ(Expand("{{ reReplaceAll \"(.*):(.*)\" \"${2}-$1\" $labels.instance }}"), "9090-web1");
  EXPECT_EQ(Expand("{{ match \"^web\" $labels.instance }} {{ title \"hello world\" }}"), "true Hello World");
  EXPECT_EQ(Expand("{{ query \"x\" | first | label \"a\" }}"), "2");
  EXPECT_EQ(Expand("{{ graphLink \"up == 0\" }}"), "/graph?g0.expr=up+%3D%3D+0&g0.tab=0");
}

TEST(Template, Refuses) {
  for (const std::string text : {"{{", "{{ nope }}", "{{ if }}x{{ end }}", "{{ end }}", "{{ range query \"x\" }}", "{{ $y }}",
                                 "{{ template \"none\" }}", "{{ \"a\" | humanize }}", "{{ 1 2 }}", "{{ first (query \"none\") }}",
                                 "{{ define \"a\" }}{{ template \"a\" }}{{ end }}{{ template \"a\" }}"}) {
    EXPECT_TRUE(Expand(text).starts_with("error: ")) << text << " is " << Expand(text);
  }
  EXPECT_FALSE(CheckTemplate("{{ nope }}"));
  EXPECT_TRUE(CheckTemplate("{{ $value }}"));
}

}  // namespace
}  // namespace faultline::alerts
