// Selectors, subqueries and the functions over their ranges: the loops in which queries spend their
// time. Samples of a series are walked once, with two fingers, over all steps.
#include <algorithm>
#include <numeric>
#include <unordered_set>

#include "aggregator/query/evaluator.h"
#include "aggregator/query/parallel.h"
#include "aggregator/query/promql_functions.h"

namespace faultline::promql {
namespace {

constexpr size_t kSamplesBetweenStops = 1 << 20;
// Columns that are computed before the sink has taken those before them.
constexpr size_t kMaxCellsAhead = 1 << 22;
constexpr size_t kMaxSeriesAhead = 4096;
constexpr size_t kSeriesPerTask = 64;
constexpr size_t kLeastSeriesPerTask = 8;  // a few series over a day are worth a second thread
constexpr size_t kTasksPerThread = 4;
constexpr size_t kLeastSeriesToProbe = 1000;
constexpr size_t kProbes = 5;
constexpr uint64_t kGapsAllowed = 4;

void DropStale(std::vector<Sample>& samples) {
  std::erase_if(samples, [](const Sample& sample) { return IsAbsent(sample.value); });
}

const Expr* RangeArgument(const Call& call, size_t& position) {
  for (size_t i = 0; i < call.arguments.size(); ++i) {
    if (call.arguments[i]->type == ValueType::kMatrix) {
      position = i;
      return &Unwrapped(*call.arguments[i]);
    }
  }
  return nullptr;
}

std::vector<Sample> SamplesOf(const Column& column, const Steps& steps) {
  std::vector<Sample> samples;
  for (size_t i = 0; i < column.values.size(); ++i) {
    if (!IsAbsent(column.values[i])) samples.push_back({steps.At(i), column.values[i]});
  }
  return samples;
}

}  // namespace

Result<void> Evaluator::Stream(const Expr& expr, const Steps& steps, const Sink& sink) {
  const bool per_step = steps.count == 1 || !expr.step_invariant;
  if (per_step && steps.count > 0) {
    if (expr.kind == ExprKind::kParen)
      return Stream(*static_cast<const Paren&>(expr).inner, steps, sink);
    if (expr.kind == ExprKind::kVectorSelector) {
      return StreamSelector(static_cast<const VectorSelector&>(expr), steps, false, sink);
    }
    if (expr.kind == ExprKind::kCall && static_cast<const Call&>(expr).function->range != nullptr) {
      return StreamRangeCall(static_cast<const Call&>(expr), steps, sink);
    }
  }
  FAULTLINE_ASSIGN(Matrix matrix, expr.kind == ExprKind::kVectorSelector && steps.count == 0
                                      ? Result<Matrix>(Matrix{})
                                      : Eval(expr, steps));
  for (Column& column : matrix.columns) FAULTLINE_TRY(sink(std::move(column)));
  return {};
}

Result<std::vector<Evaluator::Selected>> Evaluator::Select(const VectorSelector& selector, int64_t begin_ms,
                                                           int64_t end_ms, size_t steps) {
  FAULTLINE_ASSIGN(const std::vector<SeriesId> ids,
                   source_.Select(selector.matchers, begin_ms, end_ms));
  if (ids.size() > options_.max_series) {
    return Fail(ErrorCode::kResourceExhausted,
                "a selector finds {} series, more than a query may touch (limit query.max_series={})",
                ids.size(), options_.max_series);
  }
  FAULTLINE_TRY(CheckReading(ids, begin_ms, end_ms, steps));
  std::vector<Selected> selected;
  selected.reserve(ids.size());
  for (const SeriesId id : ids) {
    FAULTLINE_ASSIGN(Labels labels, source_.LabelsOf(id));
    selected.push_back({std::move(labels), id});
  }
  std::sort(selected.begin(), selected.end(),
            [](const Selected& a, const Selected& b) { return a.labels < b.labels; });
  return selected;
}

// A few of many series tell how dense they are.
Result<void> Evaluator::CheckReading(std::span<const SeriesId> ids, int64_t begin_ms,
                                     int64_t end_ms, size_t steps) {
  if (ids.size() * steps > options_.max_points) {
    return Fail(ErrorCode::kResourceExhausted,
                "query would be evaluated for {} series at {} steps (limit query.max_points={})",
                ids.size(), steps, options_.max_points);
  }
  if (ids.size() < kLeastSeriesToProbe) return {};
  uint64_t samples = 0;
  for (size_t i = 0; i < kProbes; ++i) {
    FAULTLINE_ASSIGN(const auto some,
                     source_.Fetch(ids[i * (ids.size() - 1) / (kProbes - 1)], begin_ms, end_ms));
    samples += some.size();
  }
  const uint64_t estimate = samples * ids.size() / kProbes;
  if (estimate <= options_.max_read_samples) return {};
  return Fail(ErrorCode::kResourceExhausted,
              "query would read about {} samples of {} series (limit query.max_read_samples={})",
              estimate, ids.size(), options_.max_read_samples);
}

// A selector whose values are all kept in memory. Series may have gaps, so only what is far beyond
// the limit is refused here; Reserve counts what is really there.
Result<void> Evaluator::CheckKept(const VectorSelector& selector, int64_t range_ms,
                                  const Steps& steps) {
  const int64_t first = ReferenceTime(selector.modifiers, steps.start_ms) - range_ms;
  const int64_t last = ReferenceTime(selector.modifiers, steps.end_ms());
  FAULTLINE_ASSIGN(const auto ids, source_.Select(selector.matchers, first, last));
  if (ids.size() * steps.count <= kGapsAllowed * budget_.max_samples) return {};
  return Fail(ErrorCode::kResourceExhausted,
              "query processing would load too many samples into memory in query execution "
              "({} series at {} steps, limit query.max_samples={})",
              ids.size(), steps.count, budget_.max_samples);
}

Result<void> Evaluator::StreamSelector(const VectorSelector& selector, const Steps& steps,
                                       bool times, const Sink& sink) {
  const int64_t first = ReferenceTime(selector.modifiers, steps.start_ms);
  const int64_t last = ReferenceTime(selector.modifiers, steps.end_ms());
  FAULTLINE_ASSIGN(std::vector<Selected> selected,
                   Select(selector, first - options_.lookback_ms, last, steps.count));
  const auto compute = [&](const std::vector<Sample>& samples,
                           std::vector<double>& values) -> Result<bool> {
    bool any = false;
    size_t behind = 0;  // samples at or before the reference time
    size_t stride = 0;  // how far that went at the last step: regular series go as far again
    values.assign(steps.count, Absent());
    for (size_t i = 0; i < steps.count; ++i) {
      const int64_t reference = ReferenceTime(selector.modifiers, steps.At(i));
      const size_t before = behind;
      if (stride > 0 && behind + stride <= samples.size() &&
          samples[behind + stride - 1].time_ms <= reference) {
        behind += stride;
      }
      while (behind < samples.size() && samples[behind].time_ms <= reference) ++behind;
      stride = behind - before;
      if (behind == 0) continue;
      const Sample& sample = samples[behind - 1];
      if (sample.time_ms < reference - options_.lookback_ms || IsAbsent(sample.value)) continue;
      values[i] = times ? static_cast<double>(sample.time_ms) / 1000 : sample.value;
      any = true;
    }
    return any;
  };
  return ForSelected(selected, first - options_.lookback_ms, last, steps, compute, sink);
}

Result<void> Evaluator::ForSelected(std::vector<Selected>& selected, int64_t begin_ms,
                                    int64_t end_ms, const Steps& steps, const Compute& compute,
                                    const Sink& sink) {
  const size_t window = std::clamp(kMaxCellsAhead / steps.count, kSeriesPerTask, kMaxSeriesAhead);
  std::vector<SeriesId> ids;
  std::vector<std::vector<double>> columns;  // empty: no value
  for (size_t begin = 0; begin < selected.size(); begin += window) {
    const size_t count = std::min(window, selected.size() - begin);
    ids.clear();
    for (size_t i = 0; i < count; ++i) ids.push_back(selected[begin + i].id);
    columns.assign(count, {});
    // Tasks take series that lie together in the store.
    std::vector<size_t> order(count);
    std::iota(order.begin(), order.end(), 0);
    std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return ids[a] < ids[b]; });
    const auto task = [&](size_t from, size_t to) -> Result<void> {
      FAULTLINE_TRY(CheckStop());
      std::vector<SeriesId> mine;
      for (size_t i = from; i < to; ++i) mine.push_back(ids[order[i]]);
      std::vector<double> values;
      return source_.FetchMany(mine, begin_ms, end_ms,
                               [&](size_t place, std::vector<Sample>& samples) -> Result<void> {
                                 if (samples.empty()) return {};
                                 FAULTLINE_ASSIGN(const bool any, compute(samples, values));
                                 if (any) columns[order[from + place]] = std::move(values);
                                 return {};
                               });
    };
    const size_t threads = std::max<size_t>(1, options_.max_threads);
    const size_t grain =
        std::clamp(count / (kTasksPerThread * threads), kLeastSeriesPerTask, kSeriesPerTask);
    FAULTLINE_TRY(RunParallel(count, grain, threads, task));
    for (size_t i = 0; i < count; ++i) {
      if (columns[i].empty()) continue;
      FAULTLINE_TRY(sink(Column{std::move(selected[begin + i].labels), std::move(columns[i])}));
    }
  }
  return {};
}

Result<Matrix> Evaluator::SelectTimes(const VectorSelector& selector, const Steps& steps) {
  Matrix matrix;
  FAULTLINE_TRY(StreamSelector(selector, steps, true, Collect(matrix, steps)));
  return matrix;
}

Result<void> Evaluator::StreamRangeCall(const Call& call, const Steps& steps, const Sink& sink) {
  size_t position = 0;
  const Expr* range = RangeArgument(call, position);
  std::vector<std::vector<double>> parameters;
  for (size_t i = 0; i < call.arguments.size(); ++i) {
    if (i == position) continue;
    FAULTLINE_ASSIGN(std::vector<double> values, EvalScalar(*call.arguments[i], steps));
    parameters.push_back(std::move(values));
  }
  const bool keeps_name = call.function->name == "last_over_time";
  if (keeps_name || DistinctWithoutName(*range))
    return RangeColumns(*call.function, *range, steps, parameters, sink);
  std::unordered_set<std::string> seen;
  return RangeColumns(*call.function, *range, steps, parameters,
                      [&](Column&& column) -> Result<void> {
                        if (!seen.insert(KeyOf(column.labels)).second) {
                          return Fail(ErrorCode::kInvalidArgument,
                                      "vector cannot contain metrics with the same labelset");
                        }
                        return sink(std::move(column));
                      });
}

namespace {

// Applies a range function to the samples of one series at every step.
class RangeLoop {
 public:
  RangeLoop(const FunctionRow& function, const std::vector<std::vector<double>>& parameters,
            const Steps& steps, int64_t range_ms)
      : function_(function), parameters_(parameters), steps_(steps), range_ms_(range_ms) {}

  // `ends[i]` is where the range of step i ends. False if no step has a value.
  template <typename EndOf, typename Stop>
  Result<bool> Run(const std::vector<Sample>& samples, const EndOf& end_of, const Stop& stop,
                   std::vector<double>& values) {
    resets_.clear();
    if (function_.wants_resets) {
      for (uint32_t i = 1; i < samples.size(); ++i) {
        if (samples[i].value < samples[i - 1].value) resets_.push_back(i);
      }
    }
    bool any = false;
    size_t low = 0, high = 0, walked = 0;
    values.assign(steps_.count, Absent());
    for (size_t i = 0; i < steps_.count; ++i) {
      const int64_t end_ms = end_of(i);
      while (high < samples.size() && samples[high].time_ms <= end_ms) ++high;
      while (low < high && samples[low].time_ms < end_ms - range_ms_) ++low;
      if (low == high) continue;
      walked += high - low;
      if (walked > kSamplesBetweenStops) {
        walked = 0;
        FAULTLINE_TRY(stop());
      }
      FAULTLINE_ASSIGN(values[i], At(samples, low, high, i, end_ms));
      any = any || !IsAbsent(values[i]);
    }
    return any;
  }

 private:
  Result<double> At(const std::vector<Sample>& samples, size_t low, size_t high, size_t step,
                    int64_t end_ms) {
    Window window;
    window.samples = std::span(samples).subspan(low, high - low);
    window.begin_ms = end_ms - range_ms_;
    window.end_ms = end_ms;
    window.eval_ms = steps_.At(step);
    window.range_s = static_cast<double>(range_ms_) / 1000;
    for (size_t p = 0; p < parameters_.size() && p < 2; ++p)
      window.parameters[p] = parameters_[p][step];
    if (function_.wants_resets && !resets_.empty()) {
      const auto from =
          std::upper_bound(resets_.begin(), resets_.end(), static_cast<uint32_t>(low));
      const auto to = std::lower_bound(from, resets_.end(), static_cast<uint32_t>(high));
      window.resets = std::span(resets_).subspan(static_cast<size_t>(from - resets_.begin()),
                                                 static_cast<size_t>(to - from));
      window.first = static_cast<uint32_t>(low);
    }
    if (function_.check != nullptr) {
      if (std::string refusal = function_.check(window.parameters); !refusal.empty()) {
        return Fail(ErrorCode::kInvalidArgument, "{}", refusal);
      }
    }
    return function_.range(window);
  }

  const FunctionRow& function_;
  const std::vector<std::vector<double>>& parameters_;
  const Steps& steps_;
  const int64_t range_ms_;
  std::vector<uint32_t> resets_;
};

}  // namespace

Result<void> Evaluator::StreamRange(const FunctionRow& function, const Expr& range,
                                    const Steps& steps, const Sink& sink) {
  return RangeColumns(function, Unwrapped(range), steps, {}, sink);
}

Result<void> Evaluator::RangeColumns(const FunctionRow& function, const Expr& range,
                                     const Steps& steps,
                                     const std::vector<std::vector<double>>& parameters,
                                     const Sink& sink) {
  const bool keeps_name = function.name == "last_over_time";
  const auto stop = [&] { return CheckStop(); };
  const auto finish = [&](Labels labels, std::vector<double>&& values) {
    if (!keeps_name) DropLabel(labels, kMetricName);
    return sink(Column{std::move(labels), std::move(values)});
  };
  if (range.kind == ExprKind::kSubquery) {
    const auto& subquery = static_cast<const Subquery&>(range);
    Steps inner;
    FAULTLINE_ASSIGN(Matrix matrix, EvalSubqueryInner(subquery, steps, inner));
    const auto end_of = [&](size_t i) { return ReferenceTime(subquery.modifiers, steps.At(i)); };
    RangeLoop loop(function, parameters, steps, subquery.range_ms);
    for (Column& column : matrix.columns) {
      FAULTLINE_TRY(CheckStop());
      std::vector<double> values;
      FAULTLINE_ASSIGN(const bool any, loop.Run(SamplesOf(column, inner), end_of, stop, values));
      if (any) FAULTLINE_TRY(finish(std::move(column.labels), std::move(values)));
    }
    return {};
  }
  const auto& matrix = static_cast<const MatrixSelector&>(range);
  const VectorSelector& selector = *matrix.selector;
  const auto end_of = [&](size_t i) { return ReferenceTime(selector.modifiers, steps.At(i)); };
  const int64_t first = end_of(0) - matrix.range_ms, last = end_of(steps.count - 1);
  FAULTLINE_ASSIGN(std::vector<Selected> selected, Select(selector, first, last, steps.count));
  const auto compute = [&](std::vector<Sample>& samples,
                           std::vector<double>& values) -> Result<bool> {
    DropStale(samples);
    if (samples.empty()) return false;
    RangeLoop loop(function, parameters, steps, matrix.range_ms);
    return loop.Run(samples, end_of, stop, values);
  };
  return ForSelected(selected, first, last, steps, compute, [&](Column&& column) {
    return finish(std::move(column.labels), std::move(column.values));
  });
}

Result<Matrix> Evaluator::EvalSubqueryInner(const Subquery& subquery, const Steps& steps,
                                            Steps& inner) {
  const int64_t first = ReferenceTime(subquery.modifiers, steps.start_ms) - subquery.range_ms;
  const int64_t last = ReferenceTime(subquery.modifiers, steps.end_ms());
  inner.interval_ms = subquery.step_ms != 0 ? subquery.step_ms : options_.subquery_step_ms;
  // The grid is absolute: multiples of the step.
  inner.start_ms = inner.interval_ms * (first / inner.interval_ms);
  if (inner.start_ms < first) inner.start_ms += inner.interval_ms;
  inner.count = last < inner.start_ms
                    ? 0
                    : static_cast<size_t>((last - inner.start_ms) / inner.interval_ms) + 1;
  if (inner.count > budget_.max_samples) {
    Matrix none;
    FAULTLINE_TRY(Reserve(none, inner.count));
  }
  return Eval(*subquery.inner, inner);
}

Result<std::vector<ResultSeries>> Evaluator::EvalRangeVector(const Expr& expr, int64_t time_ms) {
  const Expr& range = Unwrapped(expr);
  std::vector<ResultSeries> result;
  if (range.kind == ExprKind::kSubquery) {
    Steps inner;
    FAULTLINE_ASSIGN(Matrix matrix, EvalSubqueryInner(static_cast<const Subquery&>(range),
                                                      Steps{time_ms, 1, 1}, inner));
    for (Column& column : matrix.columns) {
      result.push_back({std::move(column.labels), SamplesOf(column, inner)});
    }
    return result;
  }
  const auto& matrix = static_cast<const MatrixSelector&>(range);
  const int64_t end_ms = ReferenceTime(matrix.selector->modifiers, time_ms);
  const int64_t begin_ms = end_ms - matrix.range_ms;
  FAULTLINE_ASSIGN(std::vector<Selected> selected, Select(*matrix.selector, begin_ms, end_ms, 1));
  Matrix charged;
  for (Selected& series : selected) {
    FAULTLINE_TRY(CheckStop());
    FAULTLINE_ASSIGN(std::vector<Sample> samples, source_.Fetch(series.id, begin_ms, end_ms));
    DropStale(samples);
    if (samples.empty()) continue;
    FAULTLINE_TRY(Reserve(charged, samples.size()));
    result.push_back({std::move(series.labels), std::move(samples)});
  }
  return result;
}

}  // namespace faultline::promql
