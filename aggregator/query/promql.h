// PromQL for everybody else: parse a text once, evaluate it at one time or over a range. Complete
// as Prometheus 2.42 has it, native histograms excepted. Bounded by a deadline, a sample limit and
// a cancel flag.
//
//   FAULTLINE_ASSIGN(auto query, PromQuery::Parse("rate(node_cpu_seconds_total[1m])"));
//   FAULTLINE_ASSIGN(QueryResult result, query.At(now_ms, *source, options));
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "aggregator/query/promql_ast.h"
#include "aggregator/query/series_source.h"
#include "aggregator/store/store.h"
#include "common/clock.h"
#include "common/result.h"

namespace faultline {

struct QueryOptions {
  uint64_t max_samples = 50'000'000;          // alive at once; beyond it kResourceExhausted
  uint64_t max_series = 500'000;              // that one selector may find
  uint64_t max_read_samples = 1'000'000'000;  // that one selector may read, as estimated before
  uint64_t max_points = 500'000'000;          // series times steps that one selector may be evaluated at
  size_t max_threads = 2;                     // that work on one query
  int64_t lookback_ms = 300'000;
  int64_t subquery_step_ms = 60'000;             // of subqueries that name none
  int64_t deadline_steady_ns = 0;                // 0: none; beyond it kTimeout
  const Clock* clock = nullptr;                  // for the deadline
  const std::atomic<bool>* cancelled = nullptr;  // then kUnavailable
  Store* logs = nullptr;                         // what LogQL's leaves read
};

struct ResultSeries {
  Labels labels;
  std::vector<Sample> samples;  // one for a vector
};

struct QueryResult {
  promql::ValueType type = promql::ValueType::kNone;
  int64_t time_ms = 0;               // of an instant query
  double scalar = 0;                 // of kScalar
  std::string text;                  // of kString
  std::vector<ResultSeries> series;  // of kVector and kMatrix
};

class PromQuery {
 public:
  // kInvalidArgument: `1:5: parse error: …`.
  static Result<PromQuery> Parse(std::string_view text);
  // A tree made elsewhere (LogQL).
  explicit PromQuery(promql::ExprPtr expr) : expr_(std::move(expr)) {}

  promql::ValueType type() const { return expr_->type; }
  const promql::Expr& expr() const { return *expr_; }
  Result<QueryResult> At(int64_t time_ms, promql::SeriesSource& source,
                         const QueryOptions& options) const;
  // type() must be kScalar or kVector; the result is a matrix sorted by labels.
  Result<QueryResult> Over(int64_t start_ms, int64_t end_ms, int64_t step_ms,
                           promql::SeriesSource& source, const QueryOptions& options) const;

 private:
  promql::ExprPtr expr_;
};

// For callers inside the aggregator that only want values: parse and evaluate at one time over the
// store.
Result<QueryResult> QueryAt(Store& store, std::string_view text, int64_t time_ms);

}  // namespace faultline
