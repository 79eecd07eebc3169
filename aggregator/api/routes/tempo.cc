// Tempo's API: a trace by id, search by TraceQL or tags, names and values of attributes. Grafana asks for
// protobuf. The JSON of a trace has Tempo's member `batches` and, because Jaeger's clients ask at the same
// path, Jaeger's `data` beside it.
#include <algorithm>
#include <boost/json.hpp>
#include <map>
#include <set>

#include "aggregator/api/routes/query_request.h"
#include "aggregator/api/routes/routes.h"
#include "aggregator/api/routes/trace_request.h"
#include "aggregator/otlp/attribute_values.h"
#include "aggregator/otlp/otlp.h"
#include "aggregator/traces/jaeger_json.h"
#include "common/base_n.h"
#include "common/text.h"

namespace faultline::routes {
namespace {

namespace json = boost::json;

constexpr size_t kDefaultTraces = 20;
constexpr size_t kMaxTraces = 1'000;
constexpr size_t kDefaultSpansPerSet = 3;
constexpr size_t kMaxSpansForTags = 20'000;
constexpr int64_t kDefaultWindowNs = 3600 * kNsPerSecond;
constexpr std::string_view kIntrinsics[] = {"duration", "kind", "name", "rootName", "rootServiceName",
                                            "status", "statusMessage", "traceDuration"};

Reply JsonReply(const json::value& value) {
  Reply reply;
  reply.body = json::serialize(value);
  return reply;
}

struct Window {
  int64_t begin_ns;
  int64_t end_ns;
};

Result<Window> ReadWindow(const Request& request, const ApiContext& context) {
  Window window{};
  FAULTLINE_ASSIGN(window.end_ns, ParseTraceTime(request.Parameter("end"), context.clock->UnixNs() + kNsPerSecond));
  FAULTLINE_ASSIGN(window.begin_ns, ParseTraceTime(request.Parameter("start"), window.end_ns - kDefaultWindowNs));
  return window;
}

Result<size_t> ReadCount(const Request& request, std::string_view name, size_t fallback, size_t most) {
  const std::string_view text = request.Parameter(name);
  if (text.empty()) return fallback;
  const auto count = ParseUint(text);
  if (!count || *count == 0) return Fail(ErrorCode::kInvalidArgument, "{} must be a positive number", name);
  return std::min<size_t>(*count, most);
}

json::value SpanSetJson(const traces::FoundTrace& trace, size_t max_spans) {
  json::array spans;
  for (const size_t place : trace.matched) {
    if (spans.size() == max_spans) break;
    const v1::Span& span = trace.spans[place].span;
    spans.push_back({{"spanID", ToHex(span.span_id())},
                     {"name", span.name()},
                     {"startTimeUnixNano", std::to_string(span.start_unix_ns())},
                     {"durationNanos", std::to_string(span.end_unix_ns() - span.start_unix_ns())},
                     {"attributes", json::array{json::object{
                                        {"key", "service.name"},
                                        {"value", json::object{{"stringValue", span.service()}}}}}}});
  }
  return {{"spans", std::move(spans)}, {"matched", trace.matched.size()}};
}

json::value FoundJson(const traces::FoundTrace& trace, size_t max_spans) {
  const traces::TraceView view(trace.spans);
  const json::value set = SpanSetJson(trace, max_spans);
  return {{"traceID", ToHex(view.root->span.trace_id())},
          {"rootServiceName", view.root->span.service()},
          {"rootTraceName", view.root->span.name()},
          {"startTimeUnixNano", std::to_string(view.begin_unix_ns)},
          {"durationMs", (view.end_unix_ns - view.begin_unix_ns) / kNsPerMs},
          {"spanSet", set},
          {"spanSets", json::array{set}}};
}

// Calls `add` with scope, name, value and type of what spans of the window carry.
template <typename Add>
Result<void> Attributes(const Request& request, ApiContext& context, const Add& add) {
  FAULTLINE_ASSIGN(const Window window, ReadWindow(request, context));
  size_t looked_at = 0;
  return context.store->ScanSpans({.begin_unix_ns = window.begin_ns, .end_unix_ns = window.end_ns},
                                  [&](const StoredSpan& stored) {
                                    for (const auto& a : stored.span.attributes()) add("span", a.name(), a);
                                    for (const auto& a : stored.span.resource()) add("resource", a.name(), a);
                                    return ++looked_at < kMaxSpansForTags;
                                  });
}

bool IsSecondApi(const Request& request) { return request.path.starts_with("/api/v2/"); }

std::string_view TypeName(v1::ValueType type) {
  switch (type) {
    case v1::VALUE_TYPE_INTEGER:
      return "int";
    case v1::VALUE_TYPE_DOUBLE:
      return "float";
    case v1::VALUE_TYPE_BOOLEAN:
      return "bool";
    default:
      return "string";
  }
}

}  // namespace

Result<Reply> TempoEcho(const Request&, ApiContext&) {
  Reply reply;
  reply.content_type = "text/plain; charset=utf-8";
  reply.body = "echo";
  return reply;
}

Result<Reply> TempoTrace(const Request& request, ApiContext& context) {
  FAULTLINE_ASSIGN(const std::string id, ParseTraceId(request.PathValue("id")));
  FAULTLINE_ASSIGN(const std::vector<StoredSpan> spans, context.store->Trace(id));
  if (spans.empty()) return Fail(ErrorCode::kNotFound, "no trace {}", request.PathValue("id"));
  const otlp::v1::Trace trace = otlp::MakeTrace(spans);
  Reply reply;
  if (request.Header("accept").find("application/protobuf") != std::string_view::npos) {
    reply.content_type = "application/protobuf";
    if (IsSecondApi(request)) {
      otlp::v1::TraceByIdResponse response;
      *response.mutable_trace() = trace;
      response.SerializeToString(&reply.body);
    } else {
      trace.SerializeToString(&reply.body);
    }
    return reply;
  }
  FAULTLINE_ASSIGN(const std::string text, otlp::EncodeJson(trace));
  if (IsSecondApi(request)) {
    // The second API calls the same list resourceSpans.
    constexpr std::string_view kFirst = R"({"batches")";
    reply.body = R"({"status":"COMPLETE","trace":{"resourceSpans")" + text.substr(kFirst.size()) + "}";
    return reply;
  }
  reply.body = text.substr(0, text.size() - 1) + R"(,"data":[)" + json::serialize(traces::JaegerTrace(spans)) +
               R"(],"total":0,"limit":0,"offset":0,"errors":null})";
  return reply;
}

Result<Reply> TempoSearch(const Request& request, ApiContext& context) {
  FAULTLINE_ASSIGN(const Window window, ReadWindow(request, context));
  traces::SearchOptions options;
  options.begin_unix_ns = window.begin_ns;
  options.end_unix_ns = window.end_ns;
  FAULTLINE_ASSIGN(options.max_traces, ReadCount(request, "limit", kDefaultTraces, kMaxTraces));
  FAULTLINE_ASSIGN(const size_t max_spans, ReadCount(request, "spss", kDefaultSpansPerSet, kMaxTraces));
  FAULTLINE_ASSIGN(options.min_duration_ns, ParseTraceDuration("minDuration", request.Parameter("minDuration"), 0));
  FAULTLINE_ASSIGN(options.max_duration_ns,
                   ParseTraceDuration("maxDuration", request.Parameter("maxDuration"), INT64_MAX));
  options.check_stop = DeadlineOf(request, context);
  const std::string_view text = request.Parameter("q");
  FAULTLINE_ASSIGN(const traces::TraceQuery query, text.empty()
                                                       ? traces::TraceQuery::FromTags(request.Parameter("tags"))
                                                       : traces::TraceQuery::Parse(text));
  FAULTLINE_ASSIGN(const traces::SearchResult result, traces::SearchTraces(*context.store, query, options));
  json::array list;
  for (const traces::FoundTrace& trace : result.traces) list.push_back(FoundJson(trace, max_spans));
  return JsonReply({{"traces", std::move(list)},
                    {"metrics",
                     {{"inspectedTraces", result.inspected_traces},
                      {"inspectedSpans", std::to_string(result.inspected_spans)},
                      {"completedJobs", 1},
                      {"totalJobs", result.complete ? 1 : 2}}}});
}

Result<Reply> TempoTags(const Request& request, ApiContext& context) {
  std::map<std::string_view, std::set<std::string>> scopes;
  FAULTLINE_TRY(Attributes(request, context, [&](std::string_view scope, const std::string& name, const auto&) {
    scopes[scope].insert(name);
  }));
  for (const std::string_view name : kIntrinsics) scopes["intrinsic"].emplace(name);
  const std::string_view only = request.Parameter("scope");
  json::array by_scope;
  std::set<std::string> all;
  for (const auto& [scope, names] : scopes) {
    if (!only.empty() && only != "none" && only != scope) continue;
    by_scope.push_back({{"name", scope}, {"tags", json::value_from(names)}});
    if (scope != "intrinsic") all.insert(names.begin(), names.end());
  }
  if (IsSecondApi(request)) return JsonReply({{"scopes", std::move(by_scope)}});
  return JsonReply({{"tagNames", json::value_from(all)}});
}

Result<Reply> TempoTagValues(const Request& request, ApiContext& context) {
  std::string_view tag = request.PathValue("tag");
  std::string_view only;
  for (const std::string_view scope : {"span", "resource"}) {
    if (tag.size() > scope.size() && tag.starts_with(scope) && tag[scope.size()] == '.') {
      only = scope;
      tag.remove_prefix(scope.size() + 1);
      break;
    }
  }
  if (only.empty() && tag.starts_with('.')) tag.remove_prefix(1);
  std::map<std::string, std::string_view> values;  // -> type
  if (tag == "status") {
    for (const std::string_view name : {"error", "ok", "unset"}) values.emplace(name, "keyword");
  } else if (tag == "kind") {
    for (int kind = 0; kind <= 5; ++kind) values.emplace(traces::KindName(kind), "keyword");
  } else if (tag == "name" || tag == "rootName" || tag == "service.name" || tag == "rootServiceName") {
    FAULTLINE_ASSIGN(const Window window, ReadWindow(request, context));
    FAULTLINE_ASSIGN(const auto operations, context.store->SpanOperations({}, window.begin_ns, window.end_ns));
    const bool name = tag == "name" || tag == "rootName";
    for (const SpanOperation& each : operations) values.emplace(name ? each.operation : each.service, "string");
  } else {
    FAULTLINE_TRY(Attributes(request, context, [&](std::string_view scope, const std::string& name, const v1::Attribute& a) {
      if (name == tag && (only.empty() || only == scope) && values.size() < kMaxTraces)
        values.emplace(a.value(), TypeName(a.type()));
    }));
  }
  json::array typed, plain;
  for (const auto& [value, type] : values) {
    typed.push_back({{"type", type}, {"value", value}});
    plain.push_back(json::value(value));
  }
  return JsonReply({{"tagValues", IsSecondApi(request) ? std::move(typed) : std::move(plain)}});
}

}  // namespace faultline::routes
