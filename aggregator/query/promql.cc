#include "aggregator/query/promql.h"

#include <algorithm>

#include "aggregator/query/evaluator.h"
#include "aggregator/query/promql_parser.h"

namespace faultline {

using promql::Evaluator;
using promql::Steps;
using promql::ValueType;

Result<PromQuery> PromQuery::Parse(std::string_view text) {
  FAULTLINE_ASSIGN(promql::ExprPtr expr, promql::Parse(text));
  return PromQuery(std::move(expr));
}

Result<QueryResult> PromQuery::At(int64_t time_ms, promql::SeriesSource& source,
                                  const QueryOptions& options) const {
  Evaluator evaluator(source, options, time_ms, time_ms);
  QueryResult result;
  result.type = expr_->type;
  result.time_ms = time_ms;
  if (expr_->type == ValueType::kString) {
    result.text = static_cast<const promql::StringLiteral&>(promql::Unwrapped(*expr_)).value;
    return result;
  }
  if (expr_->type == ValueType::kMatrix) {
    FAULTLINE_ASSIGN(result.series, evaluator.EvalRangeVector(*expr_, time_ms));
    std::sort(result.series.begin(), result.series.end(),
              [](const ResultSeries& a, const ResultSeries& b) { return a.labels < b.labels; });
    return result;
  }
  FAULTLINE_ASSIGN(promql::Matrix matrix, evaluator.Eval(*expr_, Steps{time_ms, 1, 1}));
  if (expr_->type == ValueType::kScalar) {
    if (!matrix.columns.empty()) result.scalar = matrix.columns[0].values[0];
    return result;
  }
  result.series.reserve(matrix.columns.size());
  for (promql::Column& column : matrix.columns) {
    if (promql::IsAbsent(column.values[0])) continue;
    result.series.push_back({std::move(column.labels), {{time_ms, column.values[0]}}});
  }
  return result;
}

Result<QueryResult> PromQuery::Over(int64_t start_ms, int64_t end_ms, int64_t step_ms,
                                    promql::SeriesSource& source,
                                    const QueryOptions& options) const {
  if (expr_->type != ValueType::kScalar && expr_->type != ValueType::kVector) {
    return Fail(ErrorCode::kInvalidArgument,
                "invalid expression type {} for range query, must be Scalar or instant Vector",
                promql::Quote(promql::DocumentedType(expr_->type)));
  }
  if (step_ms <= 0 || end_ms < start_ms) {
    return Fail(ErrorCode::kInvalidArgument,
                "a range needs a positive step and must not end before its start");
  }
  Evaluator evaluator(source, options, start_ms, end_ms);
  const Steps steps{start_ms, step_ms, static_cast<size_t>((end_ms - start_ms) / step_ms) + 1};
  FAULTLINE_ASSIGN(promql::Matrix matrix, evaluator.Eval(*expr_, steps));
  QueryResult result;
  result.type = ValueType::kMatrix;
  result.series.reserve(matrix.columns.size());
  for (promql::Column& column : matrix.columns) {
    ResultSeries series{std::move(column.labels), {}};
    series.samples.reserve(steps.count);
    for (size_t i = 0; i < steps.count; ++i) {
      if (!promql::IsAbsent(column.values[i]))
        series.samples.push_back({steps.At(i), column.values[i]});
    }
    column.values = {};
    if (!series.samples.empty()) result.series.push_back(std::move(series));
  }
  std::sort(result.series.begin(), result.series.end(),
            [](const ResultSeries& a, const ResultSeries& b) { return a.labels < b.labels; });
  return result;
}

Result<QueryResult> QueryAt(Store& store, std::string_view text, int64_t time_ms) {
  FAULTLINE_ASSIGN(const PromQuery query, PromQuery::Parse(text));
  const auto source = promql::MakeSeriesSource(&store, {});
  return query.At(time_ms, *source, QueryOptions{});
}

}  // namespace faultline
