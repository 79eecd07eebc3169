#include "aggregator/api/routes/query_request.h"

#include <algorithm>
#include <cmath>

#include "aggregator/labels/ground_truth.h"
#include "aggregator/query/promql_parser.h"
#include "aggregator/query/result_json.h"
#include "common/text.h"

namespace faultline::routes {

Reply Success(std::string data) {
  Reply reply;
  reply.body.reserve(data.size() + 40);
  reply.body = R"({"status":"success","data":)";
  reply.body += data;
  reply.body += '}';
  return reply;
}

Reply Failure(int status, std::string_view type, std::string_view message) {
  Reply reply;
  reply.status = status;
  reply.body = R"({"status":"error","errorType":")";
  reply.body += type;
  reply.body += R"(","error":)";
  promql::AppendJsonString(reply.body, message);
  reply.body += '}';
  return reply;
}

Reply BadParameter(std::string_view name, std::string_view message) {
  return Failure(400, "bad_data", fmt::format("invalid parameter \"{}\": {}", name, message));
}

Reply EvaluationFailure(const Error& error) {
  if (error.code == ErrorCode::kTimeout) return Failure(503, "timeout", error.message);
  if (error.code == ErrorCode::kUnavailable) return Failure(503, "canceled", error.message);
  if (error.code == ErrorCode::kInternal || error.code == ErrorCode::kCorruption) {
    return Failure(500, "internal", error.message);
  }
  return Failure(422, "execution", error.message);
}

Result<int64_t> ParseQueryTime(std::string_view text) {
  if (const auto seconds = ParseDouble(text)) {
    if (std::abs(*seconds) < 9.2e9) return std::llround(*seconds * 1000);
    if (!std::isnan(*seconds)) {  // what the store can say; clients ask for "all of time" this way
      return *seconds > 0 ? TimeBounds().end_ms : TimeBounds().start_ms;
    }
  } else if (const auto time_ns = ParseTime(text)) {
    const int64_t ms = *time_ns / kNsPerMs;
    return *time_ns < 0 && *time_ns % kNsPerMs != 0 ? ms - 1 : ms;
  } else if (text.size() > 10 && text.starts_with('-')) {
    return TimeBounds().start_ms;  // -292273086-05-16T16:47:06Z, Prometheus' earliest
  } else if (text.size() > 10 && text.find('T') != std::string_view::npos && text.find('-') > 4) {
    return TimeBounds().end_ms;  // +292277025-08-18T07:12:54.999999999Z, its latest
  }
  return Fail(ErrorCode::kInvalidArgument, "cannot parse {} to a valid timestamp",
              promql::Quote(text));
}

Result<int64_t> ParseQueryDuration(std::string_view text) {
  if (const auto seconds = ParseDouble(text)) {
    if (std::abs(*seconds) < 9.2e9) return std::llround(*seconds * 1000);
    return Fail(ErrorCode::kInvalidArgument,
                "cannot parse {} to a valid duration. It overflows int64", promql::Quote(text));
  }
  if (const auto duration = promql::ParsePrometheusDuration(text)) return *duration;
  return Fail(ErrorCode::kInvalidArgument, "cannot parse {} to a valid duration",
              promql::Quote(text));
}

std::optional<Reply> ReadBounds(const Request& request, TimeBounds& bounds) {
  for (const auto& [name, bound] :
       {std::pair<std::string_view, int64_t*>{"start", &bounds.start_ms},
        std::pair<std::string_view, int64_t*>{"end", &bounds.end_ms}}) {
    const std::string_view text = request.Parameter(name);
    if (text.empty()) continue;
    const auto time = ParseQueryTime(text);
    if (!time) return BadParameter(name, time.error().message);
    *bound = *time;
  }
  if (bounds.end_ms < bounds.start_ms) {
    return BadParameter("end", "end timestamp must not be before start time");
  }
  return std::nullopt;
}

QueryOptions OptionsOf(const Request& request, const ApiContext& context) {
  QueryOptions options;
  options.max_samples = context.max_samples;
  options.max_series = context.max_query_series;
  options.max_read_samples = context.max_read_samples;
  options.max_points = context.max_points;
  options.max_threads = context.query_threads;
  options.lookback_ms = context.lookback_ms;
  options.clock = context.clock;
  options.deadline_steady_ns = request.deadline_steady_ns;
  if (const auto timeout = ParseQueryDuration(request.Parameter("timeout"));
      timeout && context.clock != nullptr) {
    const int64_t deadline = context.clock->SteadyNs() + *timeout * kNsPerMs;
    if (options.deadline_steady_ns == 0 || deadline < options.deadline_steady_ns) {
      options.deadline_steady_ns = std::max<int64_t>(deadline, 1);
    }
  }
  return options;
}

promql::FaultLabels FaultLabelsOf(ApiContext& context) {
  if (context.ground_truth == nullptr) return {};
  return [truth = context.ground_truth](int64_t begin_ns, int64_t end_ns) {
    return truth->Between(begin_ns, end_ns);
  };
}

std::unique_ptr<promql::SeriesSource> SourceOf(ApiContext& context) {
  return promql::MakeSeriesSource(context.store, FaultLabelsOf(context));
}

Result<std::unique_ptr<promql::SeriesSource>> SourceOf(ApiContext& context, const Request& request) {
  const std::string_view faults = request.Parameter("faults"), match = request.Parameter("faults_match");
  if (faults.empty() && match.empty()) return SourceOf(context);
  if (faults != "only" && faults != "none")
    return Fail(ErrorCode::kInvalidArgument, "invalid parameter \"faults\": must be only or none");
  std::vector<LabelMatcher> matchers;
  if (!match.empty()) {
    auto parsed = promql::ParseSelector(match);
    if (!parsed) return Fail(ErrorCode::kInvalidArgument, "invalid parameter \"faults_match\": {}", parsed.error().message);
    matchers = std::move(*parsed);
  }
  return promql::MakeWindowedSource(SourceOf(context), FaultLabelsOf(context), std::move(matchers), faults == "only");
}

}  // namespace faultline::routes
