#include "aggregator/traces/traceql.h"

#include <gtest/gtest.h>

namespace faultline::traces {
namespace {

// front (root, 100 ms) → call → back (error, 30 ms)
std::vector<StoredSpan> Spans() {
  std::vector<StoredSpan> spans(3);
  const auto fill = [&](size_t at, const char* id, const char* parent, const char* service, const char* name, int64_t begin_ms, int64_t end_ms) {
    v1::Span& span = spans[at].span;
    span.set_span_id(id);
    span.set_parent_span_id(parent);
    span.set_service(service);
    span.set_name(name);
    span.set_start_unix_ns(begin_ms * kNsPerMs);
    span.set_end_unix_ns(end_ms * kNsPerMs);
  };
  fill(0, "00000001", "", "front", "GET /buy", 1000, 1100);
  fill(1, "00000002", "00000001", "front", "call", 1010, 1090);
  fill(2, "00000003", "00000002", "back", "order", 1020, 1050);
  spans[2].span.set_status_code(2);
  spans[2].span.set_kind(2);
  auto* code = spans[2].span.add_attributes();
  code->set_name("http.status_code");
  code->set_value("503");
  auto* zone = spans[2].span.add_resource();
  zone->set_name("cloud.zone");
  zone->set_value("z1");
  return spans;
}

std::vector<size_t> Match(std::string_view text) {
  const auto spans = Spans();
  const auto query = TraceQuery::Parse(text);
  EXPECT_TRUE(query) << text << ": " << (query ? "" : query.error().message);
  return query ? query->Match(TraceView(spans)) : std::vector<size_t>();
}

using Places = std::vector<size_t>;

TEST(TraceQl, Matches) {
  EXPECT_EQ(Match("{}"), (Places{0, 1, 2}));
  EXPECT_EQ(Match("{ status = error }"), Places{2});
  EXPECT_EQ(Match("{ .http.status_code >= 500 && resource.cloud.zone = `z1` }"), Places{2});
  EXPECT_EQ(Match("{ span.http.status_code = 200 }"), Places{});
  EXPECT_EQ(Match("{ duration > 50ms }"), (Places{0, 1}));
  EXPECT_EQ(Match("{ duration >= 0.1s }"), Places{0});
  EXPECT_EQ(Match("{ name =~ \"GET.*\" || kind = server }"), (Places{0, 2}));
  EXPECT_EQ(Match("{ !(resource.service.name = \"front\") }"), Places{2});
  EXPECT_EQ(Match("{ .nothing = nil && name != \"call\" }"), (Places{0, 2}));
  EXPECT_EQ(Match("{ name = \"call\" } > { status = error }"), Places{2});
  EXPECT_EQ(Match("{ name = \"GET /buy\" } > { status = error }"), Places{});
  EXPECT_EQ(Match("{ name = \"GET /buy\" } >> { status = error }"), Places{2});
  EXPECT_EQ(Match("{ name = \"call\" } && { kind = server }"), (Places{1, 2}));
  EXPECT_EQ(Match("{ name = \"call\" } && { name = \"none\" }"), Places{});
  EXPECT_EQ(Match("{} | count() = 3 | avg(duration) > 60ms"), (Places{0, 1, 2}));
  EXPECT_EQ(Match("{} | max(.http.status_code) < 503"), Places{});
  EXPECT_EQ(Match("{ rootServiceName = \"front\" && traceDuration > 99ms } | select(.a)"), (Places{0, 1, 2}));
}

TEST(TraceQl, TagsAndHints) {
  const auto tags = TraceQuery::FromTags("service.name=back http.status_code=\"503\"");
  ASSERT_TRUE(tags);
  const auto spans = Spans();
  EXPECT_EQ(tags->Match(TraceView(spans)), Places{2});
  EXPECT_EQ(tags->service(), "back");
  EXPECT_EQ(TraceQuery::Parse("{ resource.service.name = \"a\" } || {}")->service(), "");
  EXPECT_TRUE(TraceQuery::Parse("{ traceDuration > 1h }")->MayMatch(spans[0]));
}

TEST(TraceQl, RefusesWithThePlace) {
  for (const std::string text : {"{", "{ a = }", "{ a == 1 }", "x", "{} | p99()", "{ a =~ \"(\" }", "{} {}", "{ \"unclosed }"}) {
    const auto query = TraceQuery::Parse(text);
    ASSERT_FALSE(query) << text;
    EXPECT_EQ(query.error().code, ErrorCode::kInvalidArgument);
  }
  EXPECT_EQ(TraceQuery::Parse("{ a ? 1 }").error().message, "1:5: parse error: unexpected '? 1 }', expected a comparison");
}

}  // namespace
}  // namespace faultline::traces
