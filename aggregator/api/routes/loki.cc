// Loki's query API over our logs, and its push. Times are nanoseconds, seconds with a fraction, or
// RFC 3339. Errors have Prometheus' form, as everywhere here.
#include <algorithm>
#include <cmath>
#include <set>

#include "aggregator/api/routes/query_request.h"
#include "aggregator/api/routes/routes.h"
#include "aggregator/query/logql.h"
#include "aggregator/query/promql_parser.h"
#include "aggregator/query/result_json.h"
#include "aggregator/store/store.h"
#include "common/text.h"

namespace faultline::routes {
namespace {

constexpr uint64_t kDefaultLines = 100;
constexpr uint64_t kMaxLines = 5000;
constexpr int64_t kMaxPointsPerSeries = 11'000;
constexpr int64_t kDefaultWindowNs = 3600 * kNsPerSecond;

Result<int64_t> ParseLokiTime(std::string_view text) {
  if (const auto integer = ParseInt(text)) {
    return text.size() <= 10 ? *integer * kNsPerSecond : *integer;
  }
  if (const auto seconds = ParseDouble(text); seconds && std::abs(*seconds) < 9.2e9) {
    return static_cast<int64_t>(*seconds * 1e9);
  }
  if (const auto time = ParseTime(text)) return *time;
  return Fail(ErrorCode::kInvalidArgument, "cannot parse {} to a valid timestamp",
              promql::Quote(text));
}

struct LokiWindow {
  int64_t begin_ns = 0;
  int64_t end_ns = 0;
};

Result<LokiWindow> ReadWindow(const Request& request, const ApiContext& context) {
  LokiWindow window;
  window.end_ns = context.clock->UnixNs();
  if (const std::string_view end = request.Parameter("end"); !end.empty()) {
    FAULTLINE_ASSIGN(window.end_ns, ParseLokiTime(end));
  }
  window.begin_ns = window.end_ns - kDefaultWindowNs;
  if (const std::string_view since = request.Parameter("since"); !since.empty()) {
    FAULTLINE_ASSIGN(const int64_t since_ms, ParseQueryDuration(since));
    window.begin_ns = window.end_ns - since_ms * kNsPerMs;
  }
  if (const std::string_view start = request.Parameter("start"); !start.empty()) {
    FAULTLINE_ASSIGN(window.begin_ns, ParseLokiTime(start));
  }
  if (window.end_ns < window.begin_ns) {
    return Fail(ErrorCode::kInvalidArgument, "end timestamp must not be before start time");
  }
  return window;
}

Result<size_t> ReadLimit(const Request& request) {
  const std::string_view text = request.Parameter("limit");
  if (text.empty()) return kDefaultLines;
  const auto limit = ParseUint(text);
  if (!limit || *limit == 0)
    return Fail(ErrorCode::kInvalidArgument, "limit must be a positive value");
  if (*limit > kMaxLines) {
    return Fail(ErrorCode::kInvalidArgument,
                "max entries limit per query exceeded, limit > max_entries_limit "
                "({} > {})",
                *limit, kMaxLines);
  }
  return *limit;
}

Reply LinesReply(const std::vector<LogStreamResult>& streams) {
  std::string json = R"({"resultType":"streams","result":[)";
  for (size_t s = 0; s < streams.size(); ++s) {
    if (s > 0) json += ',';
    json += R"({"stream":)";
    promql::AppendJsonLabels(json, streams[s].labels);
    json += R"(,"values":[)";
    for (size_t i = 0; i < streams[s].lines.size(); ++i) {
      const auto& [time_ns, line] = streams[s].lines[i];
      if (i > 0) json += ',';
      json += fmt::format(R"(["{}",)", time_ns);
      promql::AppendJsonString(json, line);
      json += ']';
    }
    json += "]}";
  }
  return Success(json + R"(],"stats":{}})");
}

Reply MetricReply(const Result<QueryResult>& result) {
  if (!result) return EvaluationFailure(result.error());
  std::string json;
  promql::AppendJsonResult(json, *result);
  json.pop_back();
  return Success(json + R"(,"stats":{}})");
}

Reply BadRequest(const Error& error) { return Failure(400, "bad_data", error.message); }

Result<std::vector<LabelMatcher>> OptionalSelector(std::string_view text) {
  if (text.empty() || Trim(text) == "{}") return std::vector<LabelMatcher>{};
  return LogQlQuery::ParseSelector(text);
}

template <typename Texts>
Reply ListOf(const Texts& texts) {
  std::string json = "[";
  for (const std::string& text : texts) {
    if (json.size() > 1) json += ',';
    promql::AppendJsonString(json, text);
  }
  return Success(json + "]");
}

}  // namespace

Result<Reply> LokiQuery(const Request& request, ApiContext& context) {
  const auto query = LogQlQuery::Parse(request.Parameter("query"));
  if (!query) return BadRequest(query.error());
  int64_t time_ns = context.clock->UnixNs();
  if (const std::string_view text = request.Parameter("time"); !text.empty()) {
    const auto time = ParseLokiTime(text);
    if (!time) return BadRequest(time.error());
    time_ns = *time;
  }
  QueryOptions options = OptionsOf(request, context);
  options.logs = context.store;
  if (query->is_log_query()) {
    const auto limit = ReadLimit(request);
    if (!limit) return BadRequest(limit.error());
    const auto lines =
        query->Lines(*context.store, time_ns - kDefaultWindowNs, time_ns, *limit, true, options);
    return lines ? LinesReply(*lines) : EvaluationFailure(lines.error());
  }
  const auto source = SourceOf(context);
  return MetricReply(query->metric().At(time_ns / kNsPerMs, *source, options));
}

Result<Reply> LokiQueryRange(const Request& request, ApiContext& context) {
  const auto query = LogQlQuery::Parse(request.Parameter("query"));
  if (!query) return BadRequest(query.error());
  const auto window = ReadWindow(request, context);
  if (!window) return BadRequest(window.error());
  QueryOptions options = OptionsOf(request, context);
  options.logs = context.store;
  if (query->is_log_query()) {
    const auto limit = ReadLimit(request);
    if (!limit) return BadRequest(limit.error());
    std::string direction(request.Parameter("direction"));
    std::transform(direction.begin(), direction.end(), direction.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    if (!direction.empty() && direction != "forward" && direction != "backward") {
      return BadParameter("direction", "must be forward or backward");
    }
    const auto lines = query->Lines(*context.store, window->begin_ns, window->end_ns, *limit,
                                    direction != "forward", options);
    return lines ? LinesReply(*lines) : EvaluationFailure(lines.error());
  }
  int64_t step_ms =
      std::max<int64_t>((window->end_ns - window->begin_ns) / kNsPerSecond / 250, 1) * 1000;
  if (const std::string_view text = request.Parameter("step"); !text.empty()) {
    const auto step = ParseQueryDuration(text);
    if (!step) return BadParameter("step", step.error().message);
    step_ms = *step;
  }
  if (step_ms <= 0) {
    return BadParameter(
        "step",
        "zero or negative query resolution step widths are not accepted. Try a positive "
        "integer");
  }
  const int64_t start_ms = window->begin_ns / kNsPerMs, end_ms = window->end_ns / kNsPerMs;
  if ((end_ms - start_ms) / step_ms > kMaxPointsPerSeries) {
    return Failure(
        400, "bad_data",
        "exceeded maximum resolution of 11,000 points per time series. Try increasing the "
        "value of the step parameter");
  }
  const auto source = SourceOf(context);
  return MetricReply(query->metric().Over(start_ms, end_ms, step_ms, *source, options));
}

Result<Reply> LokiLabels(const Request& request, ApiContext& context) {
  const auto window = ReadWindow(request, context);
  if (!window) return BadRequest(window.error());
  const auto matchers = OptionalSelector(request.Parameter("query"));
  if (!matchers) return BadRequest(matchers.error());
  FAULTLINE_ASSIGN(const std::vector<Labels> streams,
                   context.store->LogStreams(*matchers, window->begin_ns, window->end_ns));
  std::set<std::string> names;
  for (const Labels& labels : streams) {
    for (const auto& label : labels) names.insert(label.first);
  }
  return ListOf(names);
}

Result<Reply> LokiLabelValues(const Request& request, ApiContext& context) {
  const auto window = ReadWindow(request, context);
  if (!window) return BadRequest(window.error());
  const auto matchers = OptionalSelector(request.Parameter("query"));
  if (!matchers) return BadRequest(matchers.error());
  FAULTLINE_ASSIGN(const std::vector<Labels> streams,
                   context.store->LogStreams(*matchers, window->begin_ns, window->end_ns));
  std::set<std::string> values;
  for (const Labels& labels : streams) {
    if (const std::string_view value = LabelValue(labels, request.PathValue("name"));
        !value.empty()) {
      values.emplace(value);
    }
  }
  return ListOf(values);
}

Result<Reply> LokiSeries(const Request& request, ApiContext& context) {
  const auto window = ReadWindow(request, context);
  if (!window) return BadRequest(window.error());
  std::vector<std::string_view> selectors = request.Parameters("match[]");
  if (selectors.empty()) selectors = request.Parameters("match");
  if (selectors.empty()) selectors.emplace_back();
  std::set<Labels> found;
  for (const std::string_view text : selectors) {
    const auto matchers = OptionalSelector(text);
    if (!matchers) return BadRequest(matchers.error());
    FAULTLINE_ASSIGN(std::vector<Labels> streams,
                     context.store->LogStreams(*matchers, window->begin_ns, window->end_ns));
    for (Labels& labels : streams) found.insert(std::move(labels));
  }
  std::string json = "[";
  for (const Labels& labels : found) {
    if (json.size() > 1) json += ',';
    promql::AppendJsonLabels(json, labels);
  }
  return Success(json + "]");
}

}  // namespace faultline::routes
