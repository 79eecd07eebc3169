// Metric queries of LogQL: a grammar that knows range aggregations over logs as primary
// expressions, and their evaluation. Counting aggregations touch two cells per line however many
// steps a line falls into; those over unwrapped numbers keep the numbers.
#include <algorithm>
#include <cmath>
#include <unordered_map>

#include "aggregator/query/evaluator.h"
#include "aggregator/query/logql_parser.h"
#include "aggregator/query/promql_functions.h"
#include "aggregator/query/promql_grammar.h"
#include "aggregator/query/promql_parser.h"

namespace faultline::logql {
namespace {

using promql::Absent;
using promql::Column;
using promql::Matrix;
using promql::Steps;

constexpr size_t kMaxSeries = 10'000;
constexpr size_t kLinesBetweenStops = 4096;

enum class Measure { kLines, kBytes, kNumbers, kAbsence };

struct RangeOp {
  std::string_view name;
  Measure measure;
  bool per_second;
  promql::RangeKernel kernel;  // of kNumbers
};

double FirstOverTime(const promql::Window& window) { return window.samples.front().value; }

// Growth of a counter that starts again at 0, without the extrapolation of PromQL's.
double CounterGrowth(const promql::Window& window) {
  double growth = 0;
  for (size_t i = 1; i < window.samples.size(); ++i) {
    const double before = window.samples[i - 1].value, after = window.samples[i].value;
    growth += after < before ? after : after - before;
  }
  return growth;
}

constexpr RangeOp kRangeOps[] = {
    {"count_over_time", Measure::kLines, false, nullptr},
    {"rate", Measure::kLines, true, nullptr},
    {"bytes_over_time", Measure::kBytes, false, nullptr},
    {"bytes_rate", Measure::kBytes, true, nullptr},
    {"absent_over_time", Measure::kAbsence, false, nullptr},
    {"rate_counter", Measure::kNumbers, true, CounterGrowth},
    {"sum_over_time", Measure::kNumbers, false, promql::range_functions::SumOverTime},
    {"avg_over_time", Measure::kNumbers, false, promql::range_functions::AvgOverTime},
    {"min_over_time", Measure::kNumbers, false, promql::range_functions::MinOverTime},
    {"max_over_time", Measure::kNumbers, false, promql::range_functions::MaxOverTime},
    {"first_over_time", Measure::kNumbers, false, FirstOverTime},
    {"last_over_time", Measure::kNumbers, false, promql::range_functions::LastOverTime},
    {"stddev_over_time", Measure::kNumbers, false, promql::range_functions::StddevOverTime},
    {"stdvar_over_time", Measure::kNumbers, false, promql::range_functions::StdvarOverTime},
    {"quantile_over_time", Measure::kNumbers, false, promql::range_functions::QuantileOverTime},
};
constexpr RangeOp kUnwrappedRate = {"rate", Measure::kNumbers, true,
                                    promql::range_functions::SumOverTime};

struct Grouping {
  bool given = false;
  bool without = false;
  std::vector<std::string> labels;
};

// One range aggregation, ready to run.
class RangeAggregation final : public promql::LogRangeSource {
 public:
  RangeOp op{};
  std::unique_ptr<Pipeline> pipeline;
  std::optional<Unwrap> unwrap;
  Grouping grouping;
  double parameter = 0;

  Result<Matrix> Evaluate(const promql::LogRange& range, const Steps& steps,
                          const QueryOptions& options) const override {
    if (options.logs == nullptr) return Fail(ErrorCode::kUnavailable, "no logs here");
    Run run{range, steps, options, {}, {}, {}, {}, 0};
    const int64_t first_ns = (steps.start_ms - range.offset_ms) * kNsPerMs;
    const int64_t last_ns = (steps.end_ms() - range.offset_ms) * kNsPerMs;
    // A range is open at its begin and closed at its end; the store's is the other way round.
    FAULTLINE_TRY(ScanPipeline(*options.logs, *pipeline, first_ns - range.range_ms * kNsPerMs + 1,
                               last_ns + 1, false, [&](LogLine& line) { return Add(run, line); }));
    return Finish(run);
  }

 private:
  struct Number {
    int64_t time_unix_ns;
    double value;
  };
  struct Run {
    const promql::LogRange& range;
    const Steps& steps;
    const QueryOptions& options;
    std::unordered_map<std::string, size_t> index;
    std::vector<Labels> labels;
    std::vector<std::vector<double>> changes;  // of the running sum, one more than steps
    std::vector<std::vector<Number>> numbers;
    size_t lines;
  };

  Result<bool> Add(Run& run, LogLine& line) const {
    if (++run.lines % kLinesBetweenStops == 0 && run.options.deadline_steady_ns != 0 &&
        run.options.clock != nullptr &&
        run.options.clock->SteadyNs() > run.options.deadline_steady_ns) {
      return Fail(ErrorCode::kTimeout, "query timed out after reading {} log lines", run.lines);
    }
    double amount = 1;
    if (op.measure == Measure::kBytes) amount = static_cast<double>(line.text.size());
    if (op.measure == Measure::kNumbers) {
      const std::string_view text = line.Get(unwrap->label);
      if (text.empty()) return true;
      const auto number = ParseQuantity(text, unwrap->unit);
      if (!number) line.Complain("SampleExtractionErr");
      amount = number.value_or(0);
      line.Remove(unwrap->label);
    }
    Labels labels = line.Merged();
    if (const std::string_view error = LabelValue(labels, "__error__"); !error.empty()) {
      return Fail(ErrorCode::kInvalidArgument,
                  "pipeline error: '{}' for series: '{}'. Use a label filter to skip such lines: "
                  "| __error__=\"\"",
                  error, promql::LabelText(labels));
    }
    if (op.measure == Measure::kAbsence) labels.clear();
    if (grouping.given) {
      labels = grouping.without ? promql::Without(labels, grouping.labels, false)
                                : promql::Keep(labels, grouping.labels);
    }
    const auto [at, is_new] = run.index.try_emplace(promql::KeyOf(labels), run.labels.size());
    if (is_new) {
      if (run.labels.size() >= kMaxSeries) {
        return Fail(
            ErrorCode::kResourceExhausted,
            "maximum of series ({}) reached for a single query over logs; group by fewer labels",
            kMaxSeries);
      }
      run.labels.push_back(std::move(labels));
      if (op.measure == Measure::kNumbers) {
        run.numbers.emplace_back();
      } else {
        run.changes.emplace_back(run.steps.count + 1, 0.0);
      }
    }
    if (op.measure == Measure::kNumbers) {
      if (run.lines > run.options.max_samples) {
        return Fail(ErrorCode::kResourceExhausted, "more log lines than max_samples={}",
                    run.options.max_samples);
      }
      run.numbers[at->second].push_back({line.time_unix_ns, amount});
    } else {
      AddToSteps(run, run.changes[at->second], line.time_unix_ns, amount);
    }
    return true;
  }

  // The line at `time` counts in the steps t with t - range < time <= t (t without its offset).
  static void AddToSteps(const Run& run, std::vector<double>& changes, int64_t time_unix_ns,
                         double amount) {
    const int64_t start_ns = (run.steps.start_ms - run.range.offset_ms) * kNsPerMs;
    const int64_t interval_ns = run.steps.interval_ms * kNsPerMs;
    const int64_t after = time_unix_ns - start_ns;
    const int64_t first = after <= 0 ? 0 : (after + interval_ns - 1) / interval_ns;
    const int64_t before =
        after + run.range.range_ms * kNsPerMs - 1;  // last step's time at most that
    if (before < 0) return;
    const int64_t last = std::min(before / interval_ns, static_cast<int64_t>(run.steps.count) - 1);
    if (first > last) return;
    changes[static_cast<size_t>(first)] += amount;
    changes[static_cast<size_t>(last) + 1] -= amount;
  }

  Result<Matrix> Finish(Run& run) const {
    Matrix matrix;
    if (op.measure == Measure::kAbsence) return FinishAbsence(run);
    const double divisor = op.per_second ? static_cast<double>(run.range.range_ms) / 1000 : 1;
    for (size_t s = 0; s < run.labels.size(); ++s) {
      Column column{std::move(run.labels[s]), std::vector<double>(run.steps.count, Absent())};
      if (op.measure == Measure::kNumbers) {
        FinishNumbers(run, run.numbers[s], divisor, column.values);
      } else {
        double sum = 0;
        for (size_t i = 0; i < run.steps.count; ++i) {
          sum += run.changes[s][i];
          if (sum != 0) column.values[i] = sum / divisor;
        }
        run.changes[s] = {};
      }
      if (promql::HasValue(column)) matrix.columns.push_back(std::move(column));
    }
    return matrix;
  }

  // 1 where no line was, with the labels that the selector demands.
  Result<Matrix> FinishAbsence(const Run& run) const {
    Matrix matrix;
    Column column{{}, std::vector<double>(run.steps.count, Absent())};
    for (const LabelMatcher& matcher : pipeline->matchers) {
      if (matcher.op == LabelMatcher::Op::kEqual && !matcher.value.empty()) column.labels.emplace_back(matcher.name, matcher.value);
    }
    SortLabels(column.labels);
    double lines = 0;
    for (size_t i = 0; i < run.steps.count; ++i) {
      if (!run.changes.empty()) lines += run.changes[0][i];
      if (lines == 0) column.values[i] = 1;
    }
    if (promql::HasValue(column)) matrix.columns.push_back(std::move(column));
    return matrix;
  }

  void FinishNumbers(const Run& run, const std::vector<Number>& numbers, double divisor,
                     std::vector<double>& values) const {
    std::vector<Sample> samples;
    samples.reserve(numbers.size());
    for (const Number& number : numbers)
      samples.push_back({number.time_unix_ns / kNsPerMs, number.value});
    promql::Window window;
    window.parameters[0] = parameter;
    size_t low = 0, high = 0;
    for (size_t i = 0; i < run.steps.count; ++i) {
      const int64_t end_ns = (run.steps.At(i) - run.range.offset_ms) * kNsPerMs;
      while (high < numbers.size() && numbers[high].time_unix_ns <= end_ns) ++high;
      while (low < high && numbers[low].time_unix_ns <= end_ns - run.range.range_ms * kNsPerMs)
        ++low;
      if (low == high) continue;
      window.samples = std::span(samples).subspan(low, high - low);
      values[i] = op.kernel(window) / divisor;
    }
  }
};

class MetricGrammar final : public promql::Grammar {
 public:
  using Grammar::Grammar;

 protected:
  Result<promql::ExprPtr> OwnPrimary() override {
    if (!Is(promql::TokenKind::kIdentifier)) return promql::ExprPtr();
    for (const RangeOp& op : kRangeOps) {
      if (op.name == token_.text) return RangeExpr(op);
    }
    return promql::ExprPtr();
  }

 private:
  Result<promql::ExprPtr> RangeExpr(const RangeOp& op) {
    const promql::Token name = token_;
    Scanner scanner(query_, name.end);
    auto aggregation = std::make_shared<RangeAggregation>();
    aggregation->op = op;
    if (!scanner.Take("(")) return scanner.Unexpected("\"(\"");
    if (op.name == "quantile_over_time") {
      const auto text = scanner.TakeQuantity();
      const auto parameter = text ? ParseQuantity(*text, Unwrap::Unit::kNumber) : std::nullopt;
      if (!parameter) return scanner.Unexpected("number");
      aggregation->parameter = *parameter;
      if (!scanner.Take(",")) return scanner.Unexpected("\",\"");
    }
    FAULTLINE_ASSIGN(aggregation->pipeline, ParsePipeline(scanner, &aggregation->unwrap));
    promql::LogRange times({}, {});
    FAULTLINE_TRY(Range(scanner, times));
    // The range may also stand in front of the stages.
    if (scanner.Sees("|") || scanner.Sees("!"))
      return scanner.Fail("the range must stand behind all stages");
    if (!scanner.Take(")")) return scanner.Unexpected("\")\"");
    if (aggregation->unwrap && op.name == "rate") aggregation->op = kUnwrappedRate;
    if (aggregation->op.measure == Measure::kNumbers && !aggregation->unwrap) {
      return scanner.FailAt(name.begin, fmt::format("{} needs | unwrap", op.name));
    }
    if (aggregation->op.measure != Measure::kNumbers && aggregation->unwrap) {
      return scanner.FailAt(name.begin, fmt::format("invalid aggregation {} with unwrap", op.name));
    }
    FAULTLINE_TRY(GroupingOf(scanner, aggregation->grouping));
    auto expr = std::make_unique<promql::LogRange>(
        std::move(aggregation), promql::SourceRange{name.begin, scanner.position()});
    expr->range_ms = times.range_ms;
    expr->offset_ms = times.offset_ms;
    lexer_.Seek(scanner.position());
    Advance();
    return expr;
  }

  static Result<void> Range(Scanner& scanner, promql::LogRange& times) {
    if (!scanner.Take("[")) return scanner.Unexpected("a stage or a range as [5m]");
    FAULTLINE_ASSIGN(times.range_ms, scanner.TakeDurationMs());
    if (!scanner.Take("]")) return scanner.Unexpected("\"]\"");
    if (!scanner.Take("offset")) return {};
    const bool negative = scanner.Take("-");
    FAULTLINE_ASSIGN(times.offset_ms, scanner.TakeDurationMs());
    if (negative) times.offset_ms = -times.offset_ms;
    return {};
  }

  static Result<void> GroupingOf(Scanner& scanner, Grouping& grouping) {
    const bool by = scanner.Take("by");
    if (!by && !scanner.Take("without")) return {};
    grouping.given = true;
    grouping.without = !by;
    if (!scanner.Take("(")) return scanner.Unexpected("\"(\"");
    while (!scanner.Take(")")) {
      const auto label = scanner.TakeWord();
      if (!label) return scanner.Unexpected("label or \")\"");
      grouping.labels.emplace_back(*label);
      if (!scanner.Take(",") && !scanner.Sees(")")) return scanner.Unexpected("\",\" or \")\"");
    }
    std::sort(grouping.labels.begin(), grouping.labels.end());
    return {};
  }
};

// Refuses what is PromQL but not LogQL: series of samples.
Result<void> RefuseSelectors(std::string_view query, const promql::Expr& expr) {
  using promql::ExprKind;
  switch (expr.kind) {
    case ExprKind::kVectorSelector:
    case ExprKind::kMatrixSelector:
    case ExprKind::kSubquery:
      return std::unexpected(
          Error{ErrorCode::kInvalidArgument,
                promql::ParseErrorText(query, expr.where.begin,
                                       "a log selector must stand in a range aggregation, as "
                                       "rate({app=\"a\"}[5m])")});
    case ExprKind::kParen:
      return RefuseSelectors(query, *static_cast<const promql::Paren&>(expr).inner);
    case ExprKind::kUnary:
      return RefuseSelectors(query, *static_cast<const promql::Unary&>(expr).inner);
    case ExprKind::kBinary: {
      const auto& binary = static_cast<const promql::Binary&>(expr);
      FAULTLINE_TRY(RefuseSelectors(query, *binary.left));
      return RefuseSelectors(query, *binary.right);
    }
    case ExprKind::kAggregate:
      return RefuseSelectors(query, *static_cast<const promql::Aggregate&>(expr).inner);
    case ExprKind::kCall:
      for (const promql::ExprPtr& argument : static_cast<const promql::Call&>(expr).arguments) {
        FAULTLINE_TRY(RefuseSelectors(query, *argument));
      }
      return {};
    default:
      return {};
  }
}

}  // namespace

Result<promql::ExprPtr> ParseMetricQuery(std::string_view query) {
  MetricGrammar grammar(query);
  FAULTLINE_ASSIGN(promql::ExprPtr expr, grammar.ParseAll());
  FAULTLINE_TRY(promql::CheckTypes(query, *expr));
  FAULTLINE_TRY(RefuseSelectors(query, *expr));
  return expr;
}

}  // namespace faultline::logql
