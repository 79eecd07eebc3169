// Prometheus' query API over our store: query, query_range, series, labels, metadata, buildinfo.
// Bodies and errors are its own, to the letter, because clients parse them.
#include <algorithm>
#include <set>

#include "aggregator/api/routes/query_request.h"
#include "aggregator/api/routes/routes.h"
#include "aggregator/query/promql_parser.h"
#include "aggregator/query/result_json.h"
#include "aggregator/store/store.h"
#include "common/text.h"

namespace faultline::routes {
namespace {

constexpr int64_t kMaxPointsPerSeries = 11'000;
constexpr size_t kMaxListed = 1'000'000;  // series, names or values in one answer

Reply Answer(const Result<QueryResult>& result) {
  if (!result) return EvaluationFailure(result.error());
  std::string json;
  promql::AppendJsonResult(json, *result);
  return Success(std::move(json));
}

std::string_view TypeText(v1::MetricType type) {
  switch (type) {
    case v1::METRIC_TYPE_GAUGE:
      return "gauge";
    case v1::METRIC_TYPE_COUNTER:
      return "counter";
    case v1::METRIC_TYPE_HISTOGRAM:
      return "histogram";
    case v1::METRIC_TYPE_SUMMARY:
      return "summary";
    default:
      return "unknown";
  }
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

using Selectors = std::vector<std::vector<LabelMatcher>>;

// The match[] parameters; an empty list of matchers when there are none.
std::optional<Reply> ReadSelectors(const Request& request, Selectors& selectors) {
  for (const std::string_view text : request.Parameters("match[]")) {
    auto matchers = promql::ParseSelector(text);
    if (!matchers) return BadParameter("match[]", matchers.error().message);
    selectors.push_back(std::move(*matchers));
  }
  return std::nullopt;
}

size_t LimitOf(const Request& request) {
  const auto limit = ParseUint(request.Parameter("limit"));
  return limit && *limit > 0 ? std::min<size_t>(*limit, kMaxListed) : kMaxListed;
}

}  // namespace

Result<Reply> PrometheusQuery(const Request& request, ApiContext& context) {
  int64_t time_ms = context.clock->UnixNs() / kNsPerMs;
  if (const std::string_view text = request.Parameter("time"); !text.empty()) {
    const auto time = ParseQueryTime(text);
    if (!time) return BadParameter("time", time.error().message);
    time_ms = *time;
  }
  const auto query = PromQuery::Parse(request.Parameter("query"));
  if (!query) return BadParameter("query", query.error().message);
  FAULTLINE_ASSIGN(const auto source, SourceOf(context, request));
  return Answer(query->At(time_ms, *source, OptionsOf(request, context)));
}

Result<Reply> PrometheusQueryRange(const Request& request, ApiContext& context) {
  const auto start = ParseQueryTime(request.Parameter("start"));
  if (!start) return BadParameter("start", start.error().message);
  const auto end = ParseQueryTime(request.Parameter("end"));
  if (!end) return BadParameter("end", end.error().message);
  if (*end < *start) return BadParameter("end", "end timestamp must not be before start time");
  const auto step = ParseQueryDuration(request.Parameter("step"));
  if (!step) return BadParameter("step", step.error().message);
  if (*step <= 0) {
    return BadParameter(
        "step",
        "zero or negative query resolution step widths are not accepted. Try a positive "
        "integer");
  }
  if ((*end - *start) / *step > kMaxPointsPerSeries) {
    return Failure(
        400, "bad_data",
        "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the "
        "query resolution (?step=XX)");
  }
  const auto query = PromQuery::Parse(request.Parameter("query"));
  // Here, unlike in query, Prometheus does not name the parameter.
  if (!query) return Failure(400, "bad_data", query.error().message);
  if (query->type() != promql::ValueType::kScalar && query->type() != promql::ValueType::kVector) {
    return Failure(
        400, "bad_data",
        fmt::format("invalid expression type {} for range query, must be Scalar or instant Vector",
                    promql::Quote(promql::DocumentedType(query->type()))));
  }
  FAULTLINE_ASSIGN(const auto source, SourceOf(context, request));
  return Answer(query->Over(*start, *end, *step, *source, OptionsOf(request, context)));
}

Result<Reply> PrometheusSeries(const Request& request, ApiContext& context) {
  TimeBounds bounds;
  if (auto refusal = ReadBounds(request, bounds)) return std::move(*refusal);
  Selectors selectors;
  if (auto refusal = ReadSelectors(request, selectors)) return std::move(*refusal);
  if (selectors.empty()) return Failure(400, "bad_data", "no match[] parameter provided");
  const auto source = SourceOf(context);
  std::set<Labels> found;
  const size_t limit = LimitOf(request);
  for (const std::vector<LabelMatcher>& matchers : selectors) {
    FAULTLINE_ASSIGN(const std::vector<SeriesId> ids,
                     source->Select(matchers, bounds.start_ms, bounds.end_ms));
    for (const SeriesId id : ids) {
      if (found.size() >= limit) break;
      FAULTLINE_ASSIGN(Labels labels, source->LabelsOf(id));
      found.insert(std::move(labels));
    }
  }
  std::string json = "[";
  for (const Labels& labels : found) {
    if (json.size() > 1) json += ',';
    promql::AppendJsonLabels(json, labels);
  }
  return Success(json + "]");
}

Result<Reply> PrometheusLabels(const Request& request, ApiContext& context) {
  TimeBounds bounds;
  if (auto refusal = ReadBounds(request, bounds)) return std::move(*refusal);
  Selectors selectors;
  if (auto refusal = ReadSelectors(request, selectors)) return std::move(*refusal);
  if (selectors.empty()) selectors.emplace_back();
  std::set<std::string> names;
  for (const std::vector<LabelMatcher>& matchers : selectors) {
    FAULTLINE_ASSIGN(const std::vector<std::string> some,
                     context.store->LabelNames(matchers, bounds.start_ms, bounds.end_ms));
    names.insert(some.begin(), some.end());
    for (const Labels& labels :
         promql::FaultSeries(FaultLabelsOf(context), matchers, bounds.start_ms, bounds.end_ms)) {
      for (const auto& label : labels) names.insert(label.first);
    }
  }
  return ListOf(names);
}

Result<Reply> PrometheusLabelValues(const Request& request, ApiContext& context) {
  const std::string_view name = request.PathValue("name");
  if (!promql::IsLabelName(name)) {
    return Failure(400, "bad_data", fmt::format("invalid label name: {}", promql::Quote(name)));
  }
  TimeBounds bounds;
  if (auto refusal = ReadBounds(request, bounds)) return std::move(*refusal);
  Selectors selectors;
  if (auto refusal = ReadSelectors(request, selectors)) return std::move(*refusal);
  if (selectors.empty()) selectors.emplace_back();
  std::set<std::string> values;
  for (const std::vector<LabelMatcher>& matchers : selectors) {
    FAULTLINE_ASSIGN(const std::vector<std::string> some,
                     context.store->LabelValues(name, matchers, bounds.start_ms, bounds.end_ms));
    values.insert(some.begin(), some.end());
    for (const Labels& labels :
         promql::FaultSeries(FaultLabelsOf(context), matchers, bounds.start_ms, bounds.end_ms)) {
      if (const std::string_view value = LabelValue(labels, name); !value.empty())
        values.emplace(value);
    }
  }
  return ListOf(values);
}

Result<Reply> PrometheusMetadata(const Request& request, ApiContext& context) {
  FAULTLINE_ASSIGN(const auto all, context.store->Metadata());
  const std::string_view wanted = request.Parameter("metric");
  const size_t limit = LimitOf(request);
  std::string json = "{";
  size_t listed = 0;
  for (const auto& [metric, meta] : all) {
    if (!wanted.empty() && metric != wanted) continue;
    if (listed++ == limit) break;
    if (json.size() > 1) json += ',';
    promql::AppendJsonString(json, metric);
    json += fmt::format(R"(:[{{"type":"{}","help":)", TypeText(meta.type));
    promql::AppendJsonString(json, meta.help);
    json += R"(,"unit":""}])";
  }
  return Success(json + "}");
}

Result<Reply> PrometheusBuildInfo(const Request&, ApiContext&) {
  // Clients choose features by this version: ours are those of Prometheus 2.42.
  return Success(
      R"({"version":"2.42.0","application":"Faultline","revision":"","branch":"","buildUser":"",)"
      R"("buildDate":"","goVersion":""})");
}

}  // namespace faultline::routes
