// Jaeger's query API, the part that its page and Grafana ask: services, operations, traces, dependencies.
#include <algorithm>
#include <boost/json.hpp>
#include <set>

#include "aggregator/api/routes/routes.h"
#include "aggregator/api/routes/trace_request.h"
#include "aggregator/traces/jaeger_json.h"
#include "common/text.h"

namespace faultline::routes {
namespace {

namespace json = boost::json;

constexpr size_t kDefaultTraces = 20;
constexpr size_t kMaxTraces = 1'500;
constexpr size_t kMaxGraphSpans = 500'000;
constexpr int64_t kDefaultLookbackNs = 86'400 * kNsPerSecond;
constexpr int64_t kAllTimeNs = 365 * kDefaultLookbackNs;

Reply DataReply(json::array list) {
  const size_t total = list.size();
  Reply reply;
  reply.body = json::serialize(json::value{
      {"data", std::move(list)}, {"total", total}, {"limit", 0}, {"offset", 0}, {"errors", nullptr}});
  return reply;
}

// {"http.status_code":"500"} to a query; also key:value as `tag`.
Result<traces::TraceQuery> ReadTags(const Request& request) {
  std::string text;
  const auto add = [&](std::string_view name, std::string_view value) {
    std::string escaped;
    for (const char c : value) {
      if (c == '"' || c == '\\') escaped += '\\';
      escaped += c;
    }
    // Jaeger's own tags for what OpenTelemetry keeps apart.
    const std::string field = name == "error" && value == "true" ? "status" : name == "span.kind" ? "kind" : fmt::format(".\"{}\"", name);
    text += fmt::format("{}{} = \"{}\"", text.empty() ? "" : " && ", field, field == "status" ? "error" : escaped);
  };
  if (const std::string_view tags = request.Parameter("tags"); !tags.empty()) {
    json::error_code error;
    const json::value parsed = json::parse({tags.data(), tags.size()}, error);
    if (error || !parsed.is_object()) return Fail(ErrorCode::kInvalidArgument, "tags must be a JSON object of texts");
    for (const auto& [name, value] : parsed.get_object()) {
      add({name.data(), name.size()}, value.is_string() ? std::string_view(value.get_string()) : std::string_view(json::serialize(value)));
    }
  }
  for (const std::string_view tag : request.Parameters("tag")) {
    const size_t colon = tag.find(':');
    if (colon == std::string_view::npos) return Fail(ErrorCode::kInvalidArgument, "tag must be key:value");
    add(tag.substr(0, colon), tag.substr(colon + 1));
  }
  return traces::TraceQuery::Parse("{" + text + "}");
}

Result<std::vector<SpanOperation>> Operations(ApiContext& context, std::string_view service) {
  const int64_t now = context.clock->UnixNs();
  return context.store->SpanOperations(service, now - kAllTimeNs, now + kDefaultLookbackNs);
}

}  // namespace

Result<Reply> JaegerServices(const Request&, ApiContext& context) {
  FAULTLINE_ASSIGN(const auto operations, Operations(context, {}));
  std::set<std::string> names;
  for (const SpanOperation& operation : operations) names.insert(operation.service);
  json::array list;
  for (const std::string& name : names) list.push_back(json::value(name));
  return DataReply(std::move(list));
}

Result<Reply> JaegerServiceOperations(const Request& request, ApiContext& context) {
  FAULTLINE_ASSIGN(const auto operations, Operations(context, request.PathValue("service")));
  std::set<std::string> names;
  for (const SpanOperation& operation : operations) names.insert(operation.operation);
  json::array list;
  for (const std::string& name : names) list.push_back(json::value(name));
  return DataReply(std::move(list));
}

Result<Reply> JaegerOperations(const Request& request, ApiContext& context) {
  const std::string_view service = request.Parameter("service"), kind = request.Parameter("spanKind");
  if (service.empty()) return Fail(ErrorCode::kInvalidArgument, "parameter 'service' is required");
  FAULTLINE_ASSIGN(const auto operations, Operations(context, service));
  json::array list;
  for (const SpanOperation& operation : operations) {
    const std::string_view name = traces::KindName(operation.kind);
    if (kind.empty() || kind == name) list.push_back({{"name", operation.operation}, {"spanKind", name}});
  }
  return DataReply(std::move(list));
}

Result<Reply> JaegerTraces(const Request& request, ApiContext& context) {
  json::array list;
  if (const auto ids = request.Parameters("traceID"); !ids.empty()) {
    for (const std::string_view text : ids) {
      FAULTLINE_ASSIGN(const std::string id, ParseTraceId(text));
      FAULTLINE_ASSIGN(const std::vector<StoredSpan> spans, context.store->Trace(id));
      if (!spans.empty()) list.push_back(traces::JaegerTrace(spans));
    }
    return DataReply(std::move(list));
  }
  traces::SearchOptions options;
  options.service = request.Parameter("service");
  options.operation = request.Parameter("operation");
  if (options.service.empty()) return Fail(ErrorCode::kInvalidArgument, "parameter 'service' is required");
  FAULTLINE_ASSIGN(options.end_unix_ns, ParseTraceTime(request.Parameter("end"), context.clock->UnixNs() + kNsPerSecond));
  FAULTLINE_ASSIGN(int64_t lookback_ns, ParseTraceDuration("lookback", request.Parameter("lookback") == "custom" ? "" : request.Parameter("lookback"), kDefaultLookbackNs));
  FAULTLINE_ASSIGN(options.begin_unix_ns, ParseTraceTime(request.Parameter("start"), options.end_unix_ns - lookback_ns));
  FAULTLINE_ASSIGN(options.min_duration_ns, ParseTraceDuration("minDuration", request.Parameter("minDuration"), 0));
  FAULTLINE_ASSIGN(options.max_duration_ns, ParseTraceDuration("maxDuration", request.Parameter("maxDuration"), INT64_MAX));
  options.durations_of_spans = true;
  if (const auto limit = ParseUint(request.Parameter("limit")); limit && *limit > 0)
    options.max_traces = std::min<size_t>(*limit, kMaxTraces);
  options.check_stop = DeadlineOf(request, context);
  FAULTLINE_ASSIGN(const traces::TraceQuery query, ReadTags(request));
  FAULTLINE_ASSIGN(const traces::SearchResult result, traces::SearchTraces(*context.store, query, options));
  for (const traces::FoundTrace& trace : result.traces) list.push_back(traces::JaegerTrace(trace.spans));
  return DataReply(std::move(list));
}

Result<Reply> JaegerDependencies(const Request& request, ApiContext& context) {
  FAULTLINE_ASSIGN(const int64_t end_ns, ParseTraceTime(request.Parameter("endTs"), context.clock->UnixNs() + kNsPerSecond));
  int64_t lookback_ns = kDefaultLookbackNs;
  if (const auto lookback_ms = ParseUint(request.Parameter("lookback"))) {
    lookback_ns = static_cast<int64_t>(std::min<uint64_t>(*lookback_ms, kAllTimeNs / kNsPerMs)) * kNsPerMs;
  }
  FAULTLINE_ASSIGN(const auto calls, traces::ServiceGraph(*context.store, end_ns - lookback_ns, end_ns, kMaxGraphSpans));
  json::array list;
  for (const traces::ServiceCall& call : calls) {
    list.push_back({{"parent", call.parent},
                    {"child", call.child},
                    {"callCount", call.calls},
                    {"errorCount", call.errors},
                    {"meanDurationMs", static_cast<double>(call.total_duration_ns) / 1e6 / static_cast<double>(call.calls)}});
  }
  return DataReply(std::move(list));
}

}  // namespace faultline::routes
