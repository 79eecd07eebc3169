// What the routes of Prometheus' and Loki's families share: their parameters (times, durations,
// matchers), the shape of their answers and errors, and the options of a query made from a request.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "aggregator/api/routes/route.h"
#include "aggregator/query/promql.h"
#include "aggregator/query/series_source.h"
#include "common/result.h"

namespace faultline::routes {

// {"status":"success","data":<data>}
Reply Success(std::string data);
// {"status":"error","errorType":…,"error":…}
Reply Failure(int status, std::string_view type, std::string_view message);
// 400 bad_data: invalid parameter "<name>": <message>
Reply BadParameter(std::string_view name, std::string_view message);
// An error of evaluation: 503 timeout or canceled, 422 execution.
Reply EvaluationFailure(const Error& error);

// Seconds since 1970 with a fraction, or RFC 3339; to milliseconds.
Result<int64_t> ParseQueryTime(std::string_view text);
// Seconds with a fraction, or a duration; to milliseconds.
Result<int64_t> ParseQueryDuration(std::string_view text);

// start and end as optional bounds; absent: all of time.
struct TimeBounds {
  int64_t start_ms = INT64_MIN / 2'000'000;
  int64_t end_ms = INT64_MAX / 2'000'000;
};
// Null on success, otherwise the reply.
std::optional<Reply> ReadBounds(const Request& request, TimeBounds& bounds);

// The deadline is the request's, or `timeout` when that is sooner.
QueryOptions OptionsOf(const Request& request, const ApiContext& context);
promql::FaultLabels FaultLabelsOf(ApiContext& context);
std::unique_ptr<promql::SeriesSource> SourceOf(ApiContext& context);
// As SourceOf, and only time in which a fault was in force (faults=only) or none was (faults=none); faults_match={…}
// says which faults count.
Result<std::unique_ptr<promql::SeriesSource>> SourceOf(ApiContext& context, const Request& request);

}  // namespace faultline::routes
