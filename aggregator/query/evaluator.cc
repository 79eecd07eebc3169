#include "aggregator/query/evaluator.h"

#include <unordered_map>

#include "aggregator/query/promql_functions.h"

namespace faultline::promql {

Evaluator::Evaluator(SeriesSource& source, const QueryOptions& options, int64_t start_ms,
                     int64_t end_ms)
    : source_(source), options_(options), start_ms_(start_ms), end_ms_(end_ms) {
  budget_.max_samples = options.max_samples;
}

Result<void> Evaluator::CheckStop() const {
  if (options_.cancelled != nullptr && options_.cancelled->load(std::memory_order_relaxed)) {
    return Fail(ErrorCode::kUnavailable, "query was canceled in expression evaluation");
  }
  if (options_.deadline_steady_ns != 0 && options_.clock != nullptr &&
      options_.clock->SteadyNs() > options_.deadline_steady_ns) {
    return Fail(ErrorCode::kTimeout, "query timed out in expression evaluation");
  }
  return {};
}

Result<void> Evaluator::Reserve(Matrix& matrix, uint64_t cells) {
  if (cells > budget_.max_samples || budget_.used + cells > budget_.max_samples) {
    return Fail(ErrorCode::kResourceExhausted,
                "query processing would load too many samples into memory in query execution "
                "(limit query.max_samples={})",
                budget_.max_samples);
  }
  matrix.charge.Add(&budget_, cells);
  return {};
}

Result<Column> Evaluator::NewColumn(Matrix& matrix, Labels labels, const Steps& steps) {
  FAULTLINE_TRY(Reserve(matrix, steps.count));
  return Column{std::move(labels), std::vector<double>(steps.count, Absent())};
}

Evaluator::Sink Evaluator::Collect(Matrix& matrix, const Steps& steps) {
  return [this, &matrix, cells = steps.count](Column&& column) -> Result<void> {
    FAULTLINE_TRY(Reserve(matrix, cells));
    matrix.columns.push_back(std::move(column));
    return {};
  };
}

int64_t Evaluator::ReferenceTime(const TimeModifiers& modifiers, int64_t step_ms) const {
  switch (modifiers.anchor) {
    case TimeModifiers::Anchor::kNone:
      break;
    case TimeModifiers::Anchor::kTime:
      step_ms = modifiers.at_ms;
      break;
    case TimeModifiers::Anchor::kStart:
      step_ms = start_ms_;
      break;
    case TimeModifiers::Anchor::kEnd:
      step_ms = end_ms_;
      break;
  }
  return step_ms - modifiers.offset_ms;
}

Result<Matrix> Evaluator::Eval(const Expr& expr, const Steps& steps) {
  FAULTLINE_TRY(CheckStop());
  if (steps.count == 0) return Matrix{};
  if (!expr.step_invariant || steps.count == 1 || expr.kind == ExprKind::kNumber) {
    return EvalNode(expr, steps);
  }
  FAULTLINE_ASSIGN(Matrix once, EvalNode(expr, Steps{steps.start_ms, steps.interval_ms, 1}));
  Matrix matrix;
  for (Column& column : once.columns) {
    const double value = column.values[0];
    FAULTLINE_TRY(Reserve(matrix, steps.count));
    matrix.columns.push_back({std::move(column.labels), std::vector<double>(steps.count, value)});
  }
  return matrix;
}

Result<Matrix> Evaluator::EvalNode(const Expr& expr, const Steps& steps) {
  switch (expr.kind) {
    case ExprKind::kNumber: {
      Matrix matrix;
      FAULTLINE_ASSIGN(Column column, NewColumn(matrix, {}, steps));
      column.values.assign(steps.count, static_cast<const NumberLiteral&>(expr).value);
      matrix.columns.push_back(std::move(column));
      return matrix;
    }
    case ExprKind::kVectorSelector: {
      Matrix matrix;
      FAULTLINE_TRY(
          CheckKept(static_cast<const VectorSelector&>(expr), options_.lookback_ms, steps));
      FAULTLINE_TRY(Stream(expr, steps, Collect(matrix, steps)));
      return matrix;
    }
    case ExprKind::kParen:
      return Eval(*static_cast<const Paren&>(expr).inner, steps);
    case ExprKind::kUnary:
      return EvalUnary(static_cast<const Unary&>(expr), steps);
    case ExprKind::kBinary:
      return EvalBinary(static_cast<const Binary&>(expr), steps);
    case ExprKind::kAggregate:
      return EvalAggregate(static_cast<const Aggregate&>(expr), steps);
    case ExprKind::kCall:
      return EvalCall(static_cast<const Call&>(expr), steps);
    case ExprKind::kLogRange: {
      const auto& range = static_cast<const LogRange&>(expr);
      FAULTLINE_ASSIGN(Matrix matrix, range.source->Evaluate(range, steps, options_));
      FAULTLINE_TRY(Reserve(matrix, matrix.columns.size() * steps.count));
      return matrix;
    }
    case ExprKind::kString:
    case ExprKind::kMatrixSelector:
    case ExprKind::kSubquery:
      break;
  }
  return Fail(ErrorCode::kInternal, "an expression of type {} stands where a vector is needed",
              DocumentedType(expr.type));
}

Result<std::vector<double>> Evaluator::EvalScalar(const Expr& expr, const Steps& steps) {
  FAULTLINE_ASSIGN(Matrix matrix, Eval(expr, steps));
  if (matrix.columns.empty()) return std::vector<double>(steps.count, Absent());
  return std::move(matrix.columns[0].values);
}

Result<void> Evaluator::MergeSameLabels(Matrix& matrix) {
  std::unordered_map<std::string, size_t> seen;
  size_t kept = 0;
  for (size_t i = 0; i < matrix.columns.size(); ++i) {
    Column& column = matrix.columns[i];
    const auto [at, is_new] = seen.try_emplace(KeyOf(column.labels), kept);
    if (is_new) {
      if (kept != i) matrix.columns[kept] = std::move(column);
      ++kept;
      continue;
    }
    std::vector<double>& into = matrix.columns[at->second].values;
    for (size_t step = 0; step < into.size(); ++step) {
      if (IsAbsent(column.values[step])) continue;
      if (!IsAbsent(into[step])) {
        return Fail(ErrorCode::kInvalidArgument,
                    "vector cannot contain metrics with the same labelset");
      }
      into[step] = column.values[step];
    }
  }
  matrix.columns.resize(kept);
  return {};
}

Result<Matrix> Evaluator::EvalUnary(const Unary& unary, const Steps& steps) {
  FAULTLINE_ASSIGN(Matrix matrix, Eval(*unary.inner, steps));
  if (!unary.negative) return matrix;
  for (Column& column : matrix.columns) {
    DropLabel(column.labels, kMetricName);
    for (double& value : column.values) {
      if (!IsAbsent(value)) value = -value;
    }
  }
  if (!DistinctWithoutName(*unary.inner)) {
    // Stricter than for functions: equal labels are refused even when no step has both.
    std::unordered_map<std::string, bool> seen;
    for (const Column& column : matrix.columns) {
      if (!seen.try_emplace(KeyOf(column.labels), true).second) {
        return Fail(ErrorCode::kInvalidArgument,
                    "vector cannot contain metrics with the same labelset");
      }
    }
  }
  return matrix;
}

bool DistinctWithoutName(const Expr& expr) {
  switch (expr.kind) {
    case ExprKind::kVectorSelector: {
      for (const LabelMatcher& matcher : static_cast<const VectorSelector&>(expr).matchers) {
        if (matcher.name == kMetricName && matcher.op == LabelMatcher::Op::kEqual) return true;
      }
      return false;
    }
    case ExprKind::kMatrixSelector:
      return DistinctWithoutName(*static_cast<const MatrixSelector&>(expr).selector);
    case ExprKind::kSubquery:
      return DistinctWithoutName(*static_cast<const Subquery&>(expr).inner);
    case ExprKind::kParen:
      return DistinctWithoutName(*static_cast<const Paren&>(expr).inner);
    case ExprKind::kUnary:
      return DistinctWithoutName(*static_cast<const Unary&>(expr).inner);
    case ExprKind::kAggregate: {
      const auto& aggregate = static_cast<const Aggregate&>(expr);
      return aggregate.op != TokenKind::kTopk && aggregate.op != TokenKind::kBottomk;
    }
    case ExprKind::kCall: {
      const auto& call = static_cast<const Call&>(expr);
      if (call.function->whole != nullptr) return false;
      for (const ExprPtr& argument : call.arguments) {
        const bool vector =
            argument->type == ValueType::kVector || argument->type == ValueType::kMatrix;
        if (vector && !DistinctWithoutName(*argument)) return false;
      }
      return true;
    }
    default:
      return false;
  }
}

// ---- Calls
// ---------------------------------------------------------------------------------------------------

Result<Matrix> Evaluator::EvalCall(const Call& call, const Steps& steps) {
  if (call.function->whole != nullptr) return call.function->whole(*this, call, steps);
  if (call.function->element != nullptr) return EvalElementCall(call, steps);
  for (const ExprPtr& argument : call.arguments) {
    const Expr& range = Unwrapped(*argument);
    if (range.kind != ExprKind::kMatrixSelector) continue;
    const auto& selector = static_cast<const MatrixSelector&>(range);
    FAULTLINE_TRY(CheckKept(*selector.selector, selector.range_ms, steps));
  }
  Matrix matrix;
  FAULTLINE_TRY(StreamRangeCall(call, steps, Collect(matrix, steps)));
  return matrix;
}

Result<Matrix> Evaluator::EvalElementCall(const Call& call, const Steps& steps) {
  std::vector<std::vector<double>> parameters;
  for (size_t i = 1; i < call.arguments.size(); ++i) {
    FAULTLINE_ASSIGN(std::vector<double> values, EvalScalar(*call.arguments[i], steps));
    parameters.push_back(std::move(values));
  }
  if (call.function->name == "round" && parameters.empty()) {
    parameters.emplace_back(steps.count, 1.0);
  }
  Matrix matrix;
  if (call.arguments.empty()) {  // a date function of the time of evaluation
    FAULTLINE_ASSIGN(Column column, NewColumn(matrix, {}, steps));
    for (size_t i = 0; i < steps.count; ++i) {
      column.values[i] = static_cast<double>(steps.At(i) / 1000);
    }
    matrix.columns.push_back(std::move(column));
  } else {
    FAULTLINE_ASSIGN(matrix, Eval(*call.arguments[0], steps));
  }
  const ElementKernel kernel = call.function->element;
  for (Column& column : matrix.columns) {
    DropLabel(column.labels, kMetricName);
    double at_step[2] = {0, 0};
    for (size_t i = 0; i < steps.count; ++i) {
      if (IsAbsent(column.values[i])) continue;
      for (size_t p = 0; p < parameters.size(); ++p) at_step[p] = parameters[p][i];
      column.values[i] = kernel(column.values[i], at_step);
    }
  }
  if (call.arguments.empty() || DistinctWithoutName(*call.arguments[0])) return matrix;
  FAULTLINE_TRY(MergeSameLabels(matrix));
  return matrix;
}

}  // namespace faultline::promql
