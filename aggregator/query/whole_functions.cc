// Functions that look at more than one element at a time: absence, conversion between scalar and
// vector, sorting, labels.
#include <re2/re2.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

#include "aggregator/query/evaluator.h"
#include "aggregator/query/promql_functions.h"
#include "aggregator/query/promql_parser.h"

namespace faultline::promql::whole_functions {
namespace {

const std::string& TextOf(const Call& call, size_t argument) {
  return static_cast<const StringLiteral&>(Unwrapped(*call.arguments[argument])).value;
}

// The labels that an absent series would have had: those of the selector's equality matchers.
Labels LabelsOfAbsent(const Expr& argument) {
  const Expr& expr = Unwrapped(argument);
  const VectorSelector* selector = nullptr;
  if (expr.kind == ExprKind::kVectorSelector) selector = static_cast<const VectorSelector*>(&expr);
  if (expr.kind == ExprKind::kMatrixSelector)
    selector = static_cast<const MatrixSelector&>(expr).selector.get();
  Labels labels;
  if (selector == nullptr) return labels;
  std::vector<std::string_view> seen;
  for (const LabelMatcher& matcher : selector->matchers) {
    if (matcher.name == kMetricName) continue;
    const bool known = std::find(seen.begin(), seen.end(), matcher.name) != seen.end();
    if (matcher.op == LabelMatcher::Op::kEqual && !known) {
      SetLabel(labels, matcher.name, matcher.value);
      seen.push_back(matcher.name);
    } else {
      DropLabel(labels, matcher.name);
    }
  }
  return labels;
}

Result<Matrix> OneWhereAbsent(Evaluator& evaluator, const Matrix& inner, Labels labels,
                              const Steps& steps) {
  Matrix matrix;
  FAULTLINE_ASSIGN(Column column, evaluator.NewColumn(matrix, std::move(labels), steps));
  column.values.assign(steps.count, 1.0);
  for (const Column& present : inner.columns) {
    for (size_t i = 0; i < steps.count; ++i) {
      if (!IsAbsent(present.values[i])) column.values[i] = promql::Absent();
    }
  }
  if (HasValue(column)) matrix.columns.push_back(std::move(column));
  return matrix;
}

Result<Matrix> ScalarColumn(Evaluator& evaluator, const Steps& steps,
                            double (*value_at)(const Steps&, size_t)) {
  Matrix matrix;
  FAULTLINE_ASSIGN(Column column, evaluator.NewColumn(matrix, {}, steps));
  for (size_t i = 0; i < steps.count; ++i) column.values[i] = value_at(steps, i);
  matrix.columns.push_back(std::move(column));
  return matrix;
}

Result<Matrix> Sorted(Evaluator& evaluator, const Call& call, const Steps& steps, bool descending) {
  FAULTLINE_ASSIGN(Matrix matrix, evaluator.Eval(*call.arguments[0], steps));
  if (steps.count != 1) return matrix;  // a range is sorted by labels anyway
  std::stable_sort(matrix.columns.begin(), matrix.columns.end(),
                   [&](const Column& a, const Column& b) {
                     const double left = a.values[0], right = b.values[0];
                     if (std::isnan(left) || std::isnan(right))
                       return !std::isnan(left);  // NaN last
                     return descending ? left > right : left < right;
                   });
  return matrix;
}

// `template_text` with $1, ${name} and $$ replaced by what the groups of `regex` matched.
std::string Expand(std::string_view template_text, const RE2& regex,
                   const std::vector<std::string_view>& groups) {
  std::string out;
  while (!template_text.empty()) {
    const size_t dollar = template_text.find('$');
    out += template_text.substr(0, dollar);
    if (dollar == std::string_view::npos) break;
    template_text.remove_prefix(dollar + 1);
    if (template_text.starts_with('$')) {
      out += '$';
      template_text.remove_prefix(1);
      continue;
    }
    const bool braced = template_text.starts_with('{');
    size_t length = 0;
    const std::string_view rest = template_text.substr(braced ? 1 : 0);
    while (length < rest.size() &&
           (std::isalnum(static_cast<unsigned char>(rest[length])) || rest[length] == '_')) {
      ++length;
    }
    if (length == 0 || (braced && (length == rest.size() || rest[length] != '}'))) {
      out += '$';  // not a reference: as it stands
      continue;
    }
    const std::string name(rest.substr(0, length));
    template_text.remove_prefix(length + (braced ? 2 : 0));
    size_t group = groups.size();
    if (name.find_first_not_of("0123456789") == std::string::npos) {
      group = name.size() < 6 ? static_cast<size_t>(std::stoul(name)) : groups.size();
    } else if (const auto found = regex.NamedCapturingGroups().find(name);
               found != regex.NamedCapturingGroups().end()) {
      group = static_cast<size_t>(found->second);
    }
    if (group < groups.size()) out += groups[group];
  }
  return out;
}

}  // namespace

Result<Matrix> Absent(Evaluator& evaluator, const Call& call, const Steps& steps) {
  FAULTLINE_ASSIGN(Matrix inner, evaluator.Eval(*call.arguments[0], steps));
  return OneWhereAbsent(evaluator, inner, LabelsOfAbsent(*call.arguments[0]), steps);
}

Result<Matrix> AbsentOverTime(Evaluator& evaluator, const Call& call, const Steps& steps) {
  static const FunctionRow kPresence = {.name = "last_over_time",
                                        .arguments = {ValueType::kMatrix},
                                        .range = range_functions::PresentOverTime};
  Matrix inner;
  Column seen{{}, std::vector<double>(steps.count, promql::Absent())};
  FAULTLINE_TRY(evaluator.StreamRange(kPresence, *call.arguments[0], steps,
                                      [&](Column&& column) -> Result<void> {
                                        for (size_t i = 0; i < steps.count; ++i) {
                                          if (!IsAbsent(column.values[i])) seen.values[i] = 1;
                                        }
                                        return {};
                                      }));
  inner.columns.push_back(std::move(seen));
  return OneWhereAbsent(evaluator, inner, LabelsOfAbsent(*call.arguments[0]), steps);
}

Result<Matrix> Scalar(Evaluator& evaluator, const Call& call, const Steps& steps) {
  FAULTLINE_ASSIGN(Matrix inner, evaluator.Eval(*call.arguments[0], steps));
  Matrix matrix;
  FAULTLINE_ASSIGN(Column column, evaluator.NewColumn(matrix, {}, steps));
  for (size_t i = 0; i < steps.count; ++i) {
    double value = std::numeric_limits<double>::quiet_NaN();
    size_t present = 0;
    for (const Column& candidate : inner.columns) {
      if (IsAbsent(candidate.values[i])) continue;
      value = candidate.values[i];
      ++present;
    }
    column.values[i] = present == 1 ? value : std::numeric_limits<double>::quiet_NaN();
  }
  matrix.columns.push_back(std::move(column));
  return matrix;
}

Result<Matrix> Vector(Evaluator& evaluator, const Call& call, const Steps& steps) {
  return evaluator.Eval(*call.arguments[0], steps);
}

Result<Matrix> Time(Evaluator& evaluator, const Call&, const Steps& steps) {
  return ScalarColumn(evaluator, steps,
                      [](const Steps& s, size_t i) { return static_cast<double>(s.At(i)) / 1000; });
}

Result<Matrix> Pi(Evaluator& evaluator, const Call&, const Steps& steps) {
  return ScalarColumn(evaluator, steps, [](const Steps&, size_t) { return std::numbers::pi; });
}

Result<Matrix> Timestamp(Evaluator& evaluator, const Call& call, const Steps& steps) {
  const Expr& argument = Unwrapped(*call.arguments[0]);
  Matrix matrix;
  if (argument.kind == ExprKind::kVectorSelector) {
    FAULTLINE_ASSIGN(matrix,
                     evaluator.SelectTimes(static_cast<const VectorSelector&>(argument), steps));
  } else {
    FAULTLINE_ASSIGN(matrix, evaluator.Eval(argument, steps));
    for (Column& column : matrix.columns) {
      for (size_t i = 0; i < steps.count; ++i) {
        if (!IsAbsent(column.values[i])) column.values[i] = static_cast<double>(steps.At(i)) / 1000;
      }
    }
  }
  for (Column& column : matrix.columns) DropLabel(column.labels, kMetricName);
  FAULTLINE_TRY(Evaluator::MergeSameLabels(matrix));
  return matrix;
}

Result<Matrix> Sort(Evaluator& evaluator, const Call& call, const Steps& steps) {
  return Sorted(evaluator, call, steps, false);
}

Result<Matrix> SortDesc(Evaluator& evaluator, const Call& call, const Steps& steps) {
  return Sorted(evaluator, call, steps, true);
}

Result<Matrix> LabelReplace(Evaluator& evaluator, const Call& call, const Steps& steps) {
  FAULTLINE_ASSIGN(Matrix matrix, evaluator.Eval(*call.arguments[0], steps));
  const std::string& to = TextOf(call, 1);
  const std::string& replacement = TextOf(call, 2);
  const std::string& from = TextOf(call, 3);
  const std::string& pattern = TextOf(call, 4);
  RE2::Options options;
  options.set_log_errors(false);
  options.set_dot_nl(false);
  const RE2 regex(pattern, options);
  if (!regex.ok()) {
    return Fail(ErrorCode::kInvalidArgument, "invalid regular expression in label_replace(): {}",
                pattern);
  }
  if (!IsLabelName(to)) {
    return Fail(ErrorCode::kInvalidArgument,
                "invalid destination label name in label_replace(): {}", to);
  }
  std::vector<re2::StringPiece> pieces(static_cast<size_t>(regex.NumberOfCapturingGroups()) + 1);
  for (Column& column : matrix.columns) {
    const std::string source(LabelValue(column.labels, from));
    if (!regex.Match(source, 0, source.size(), RE2::ANCHOR_BOTH, pieces.data(),
                     static_cast<int>(pieces.size()))) {
      continue;
    }
    std::vector<std::string_view> groups;
    for (const re2::StringPiece& piece : pieces) groups.emplace_back(piece.data(), piece.size());
    SetLabel(column.labels, to, Expand(replacement, regex, groups));
  }
  FAULTLINE_TRY(Evaluator::MergeSameLabels(matrix));
  return matrix;
}

Result<Matrix> LabelJoin(Evaluator& evaluator, const Call& call, const Steps& steps) {
  FAULTLINE_ASSIGN(Matrix matrix, evaluator.Eval(*call.arguments[0], steps));
  const std::string& to = TextOf(call, 1);
  const std::string& separator = TextOf(call, 2);
  for (size_t i = 3; i < call.arguments.size(); ++i) {
    if (!IsLabelName(TextOf(call, i))) {
      return Fail(ErrorCode::kInvalidArgument, "invalid source label name in label_join(): {}",
                  TextOf(call, i));
    }
  }
  if (!IsLabelName(to)) {
    return Fail(ErrorCode::kInvalidArgument, "invalid destination label name in label_join(): {}",
                to);
  }
  for (Column& column : matrix.columns) {
    std::string joined;
    for (size_t i = 3; i < call.arguments.size(); ++i) {
      if (i > 3) joined += separator;
      joined += LabelValue(column.labels, TextOf(call, i));
    }
    SetLabel(column.labels, to, joined);
  }
  FAULTLINE_TRY(Evaluator::MergeSameLabels(matrix));
  return matrix;
}

Result<Matrix> NativeHistogramOnly(Evaluator& evaluator, const Call& call, const Steps& steps) {
  FAULTLINE_TRY(evaluator.Eval(*call.arguments.back(), steps));
  return Matrix{};
}

}  // namespace faultline::promql::whole_functions
