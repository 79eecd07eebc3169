// Walks the tree. Every node yields a matrix over all steps at once, so that an operator is a loop
// over columns; what can be done one series at a time (selectors and functions over them, below
// aggregations) is streamed, and then only one series' samples are in memory. One object per query,
// one thread.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "aggregator/query/matrix.h"
#include "aggregator/query/promql.h"
#include "aggregator/query/promql_ast.h"
#include "common/result.h"

namespace faultline::promql {

// The leaf of LogQL's metric queries.
class LogRangeSource {
 public:
  virtual ~LogRangeSource() = default;
  virtual Result<Matrix> Evaluate(const LogRange& range, const Steps& steps,
                                  const QueryOptions& options) const = 0;
};

class Evaluator {
 public:
  using Sink = std::function<Result<void>(Column&&)>;

  Evaluator(SeriesSource& source, const QueryOptions& options, int64_t start_ms, int64_t end_ms);

  Result<Matrix> Eval(const Expr& expr, const Steps& steps);
  // The columns of `expr`, one after the other.
  Result<void> Stream(const Expr& expr, const Steps& steps, const Sink& sink);
  // The values of a scalar expression.
  Result<std::vector<double>> EvalScalar(const Expr& expr, const Steps& steps);
  // The series of a matrix selector or subquery with their samples, for a query that asks for them
  // as they are.
  Result<std::vector<ResultSeries>> EvalRangeVector(const Expr& expr, int64_t time_ms);
  // A range function over a matrix selector or subquery, with no other arguments.
  Result<void> StreamRange(const FunctionRow& function, const Expr& range, const Steps& steps,
                           const Sink& sink);
  // For timestamp(): the samples' times instead of their values.
  Result<Matrix> SelectTimes(const VectorSelector& selector, const Steps& steps);

  // Merges columns of equal labels; kInvalidArgument when two have a value at the same step.
  static Result<void> MergeSameLabels(Matrix& matrix);
  // Refuses what does not fit below the sample limit.
  Result<void> Reserve(Matrix& matrix, uint64_t cells);
  Result<Column> NewColumn(Matrix& matrix, Labels labels, const Steps& steps);
  // Keeps what is streamed.
  Sink Collect(Matrix& matrix, const Steps& steps);
  // Deadline and cancellation.
  Result<void> CheckStop() const;

 private:
  // Where the end of the range or the instant of a selector lies at a step.
  int64_t ReferenceTime(const TimeModifiers& modifiers, int64_t step_ms) const;
  struct Selected {
    Labels labels;
    SeriesId id = 0;
  };
  // Sorted by labels: results do not depend on the order in which a store keeps its series.
  Result<std::vector<Selected>> Select(const VectorSelector& selector, int64_t begin_ms,
                                       int64_t end_ms, size_t steps);
  // Computes the column of every selected series out of its samples in [begin, end], by several
  // threads when there are many, and hands them to `sink` in the order of `selected`. `compute`
  // gives false when there is no value.
  using Compute =
      std::function<Result<bool>(std::vector<Sample>& samples, std::vector<double>& values)>;
  Result<void> ForSelected(std::vector<Selected>& selected, int64_t begin_ms, int64_t end_ms,
                           const Steps& steps, const Compute& compute, const Sink& sink);
  // Refuse at once what cannot end well, instead of after seconds of reading.
  Result<void> CheckReading(std::span<const SeriesId> ids, int64_t begin_ms, int64_t end_ms, size_t steps);
  Result<void> CheckKept(const VectorSelector& selector, int64_t range_ms, const Steps& steps);
  Result<void> StreamSelector(const VectorSelector& selector, const Steps& steps, bool times,
                              const Sink& sink);
  Result<void> StreamRangeCall(const Call& call, const Steps& steps, const Sink& sink);
  Result<void> RangeColumns(const FunctionRow& function, const Expr& range, const Steps& steps,
                            const std::vector<std::vector<double>>& parameters, const Sink& sink);
  Result<Matrix> EvalNode(const Expr& expr, const Steps& steps);
  Result<Matrix> EvalCall(const Call& call, const Steps& steps);
  Result<Matrix> EvalElementCall(const Call& call, const Steps& steps);
  Result<Matrix> EvalUnary(const Unary& unary, const Steps& steps);
  Result<Matrix> EvalSubqueryInner(const Subquery& subquery, const Steps& steps, Steps& inner);
  Result<Matrix> EvalBinary(const Binary& binary, const Steps& steps);
  Result<Matrix> EvalScalars(const Binary& binary, const Steps& steps);
  Result<Matrix> EvalVectorScalar(const Binary& binary, const Steps& steps);
  Result<Matrix> EvalSetOperator(const Binary& binary, const Steps& steps);
  Result<Matrix> EvalVectorMatching(const Binary& binary, const Steps& steps);
  Result<Matrix> EvalAggregate(const Aggregate& aggregate, const Steps& steps);
  Result<Matrix> EvalSimpleAggregate(const Aggregate& aggregate, const Steps& steps);
  Result<Matrix> EvalTopk(const Aggregate& aggregate, const Steps& steps);
  Result<Matrix> EvalQuantile(const Aggregate& aggregate, const Steps& steps);
  Result<Matrix> EvalCountValues(const Aggregate& aggregate, const Steps& steps);

  SeriesSource& source_;
  const QueryOptions& options_;
  const int64_t start_ms_;  // of the query, for @ start() and @ end()
  const int64_t end_ms_;
  SampleBudget budget_;
};

// True if the columns of `expr` keep distinct labels when the metric's name is dropped.
bool DistinctWithoutName(const Expr& expr);

}  // namespace faultline::promql
