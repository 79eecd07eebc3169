// Aggregations. The simple ones keep a few numbers per group and step and take their operand as a
// stream; topk, quantile and count_values need whole vectors.
#include <algorithm>
#include <cmath>
#include <unordered_map>

#include "aggregator/query/evaluator.h"
#include "aggregator/query/number_text.h"
#include "aggregator/query/promql_functions.h"
#include "aggregator/query/promql_parser.h"

namespace faultline::promql {
namespace {

std::string GroupKey(const Aggregate& aggregate, const Labels& labels) {
  return aggregate.without ? KeyWithout(labels, aggregate.grouping, true)
                           : KeyWith(labels, aggregate.grouping);
}

Labels GroupLabels(const Aggregate& aggregate, const Labels& labels) {
  return aggregate.without ? Without(labels, aggregate.grouping, true)
                           : Keep(labels, aggregate.grouping);
}

struct Group {
  Labels labels;
  std::vector<double> value;  // absent until the first element
  std::vector<double> count;  // of avg, count, stddev, stdvar
  std::vector<double> mean;   // of stddev, stdvar
};

void AddAverage(double& mean, double count, double v) {
  if (std::isinf(mean)) {
    if (std::isinf(v) && (mean > 0) == (v > 0)) return;
    if (!std::isinf(v) && !std::isnan(v)) return;
  }
  mean += v / count - mean / count;  // divided separately against overflow
}

void Accumulate(TokenKind op, Group& group, size_t i, double v) {
  double& value = group.value[i];
  const bool first = IsAbsent(value);
  switch (op) {
    case TokenKind::kSum:
      value = first ? v : value + v;
      return;
    case TokenKind::kMax:
      if (first || value < v || std::isnan(value)) value = v;
      return;
    case TokenKind::kMin:
      if (first || value > v || std::isnan(value)) value = v;
      return;
    case TokenKind::kGroup:
      value = 1;
      return;
    case TokenKind::kCount:
      value = first ? 1 : value + 1;
      return;
    case TokenKind::kAvg:
      group.count[i] += 1;
      if (first) {
        value = v;
      } else {
        AddAverage(value, group.count[i], v);
      }
      return;
    default:
      break;  // stddev, stdvar
  }
  group.count[i] += 1;
  if (first) {
    value = 0;
    group.mean[i] = v;
    return;
  }
  const double delta = v - group.mean[i];
  group.mean[i] += delta / group.count[i];
  value += delta * (v - group.mean[i]);
}

bool NeedsCount(TokenKind op) {
  return op == TokenKind::kAvg || op == TokenKind::kStddev || op == TokenKind::kStdvar;
}

// NaN goes last in either direction.
bool Before(TokenKind op, double a, double b) {
  if (std::isnan(a)) return false;
  if (std::isnan(b)) return true;
  return op == TokenKind::kTopk ? a > b : a < b;
}

}  // namespace

Result<Matrix> Evaluator::EvalAggregate(const Aggregate& aggregate, const Steps& steps) {
  switch (aggregate.op) {
    case TokenKind::kTopk:
    case TokenKind::kBottomk:
      return EvalTopk(aggregate, steps);
    case TokenKind::kQuantile:
      return EvalQuantile(aggregate, steps);
    case TokenKind::kCountValues:
      return EvalCountValues(aggregate, steps);
    default:
      return EvalSimpleAggregate(aggregate, steps);
  }
}

Result<Matrix> Evaluator::EvalSimpleAggregate(const Aggregate& aggregate, const Steps& steps) {
  Matrix matrix;
  std::vector<Group> groups;
  std::unordered_map<std::string, size_t> index;
  const auto add = [&](Column&& column) -> Result<void> {
    const auto [at, is_new] = index.try_emplace(GroupKey(aggregate, column.labels), groups.size());
    if (is_new) {
      FAULTLINE_TRY(Reserve(matrix, steps.count * (NeedsCount(aggregate.op) ? 3 : 1)));
      Group group{GroupLabels(aggregate, column.labels),
                  std::vector<double>(steps.count, Absent()),
                  {},
                  {}};
      if (NeedsCount(aggregate.op)) {
        group.count.assign(steps.count, 0);
        group.mean.assign(steps.count, 0);
      }
      groups.push_back(std::move(group));
    }
    Group& group = groups[at->second];
    for (size_t i = 0; i < steps.count; ++i) {
      if (!IsAbsent(column.values[i])) Accumulate(aggregate.op, group, i, column.values[i]);
    }
    return {};
  };
  FAULTLINE_TRY(Stream(*aggregate.inner, steps, add));
  for (Group& group : groups) {
    if (aggregate.op == TokenKind::kStddev || aggregate.op == TokenKind::kStdvar) {
      for (size_t i = 0; i < steps.count; ++i) {
        if (IsAbsent(group.value[i])) continue;
        group.value[i] /= group.count[i];
        if (aggregate.op == TokenKind::kStddev) group.value[i] = std::sqrt(group.value[i]);
      }
    }
    matrix.columns.push_back({std::move(group.labels), std::move(group.value)});
  }
  return matrix;
}

namespace {

// The columns of each group, groups in order of appearance.
std::vector<std::vector<size_t>> GroupsOf(const Aggregate& aggregate, const Matrix& matrix) {
  std::vector<std::vector<size_t>> groups;
  std::unordered_map<std::string, size_t> index;
  for (size_t c = 0; c < matrix.columns.size(); ++c) {
    const auto [at, is_new] =
        index.try_emplace(GroupKey(aggregate, matrix.columns[c].labels), groups.size());
    if (is_new) groups.emplace_back();
    groups[at->second].push_back(c);
  }
  return groups;
}

}  // namespace

Result<Matrix> Evaluator::EvalTopk(const Aggregate& aggregate, const Steps& steps) {
  FAULTLINE_ASSIGN(const std::vector<double> limits, EvalScalar(*aggregate.parameter, steps));
  FAULTLINE_ASSIGN(Matrix inner, Eval(*aggregate.inner, steps));
  const auto groups = GroupsOf(aggregate, inner);
  std::vector<size_t> order;  // of a single step: best first within each group
  std::vector<std::pair<double, size_t>> present;
  for (size_t i = 0; i < steps.count; ++i) {
    if (!(limits[i] >= -9223372036854775808.0 && limits[i] < 9223372036854775808.0)) {
      return Fail(ErrorCode::kInvalidArgument, "Scalar value {} overflows int64",
                  GoFloatText(limits[i]));
    }
    const size_t limit = limits[i] < 1 ? 0 : static_cast<size_t>(limits[i]);
    for (const std::vector<size_t>& group : groups) {
      present.clear();
      for (const size_t c : group) {
        if (!IsAbsent(inner.columns[c].values[i]))
          present.emplace_back(inner.columns[c].values[i], c);
      }
      const auto better = [&](const auto& a, const auto& b) {
        if (Before(aggregate.op, a.first, b.first)) return true;
        if (Before(aggregate.op, b.first, a.first)) return false;
        return a.second < b.second;
      };
      const size_t kept = std::min(limit, present.size());
      std::partial_sort(present.begin(), present.begin() + static_cast<ptrdiff_t>(kept),
                        present.end(), better);
      for (size_t p = 0; p < present.size(); ++p) {
        if (p >= kept) {
          inner.columns[present[p].second].values[i] = promql::Absent();
        } else if (steps.count == 1) {
          order.push_back(present[p].second);
        }
      }
    }
  }
  if (steps.count > 1) {
    std::erase_if(inner.columns, [](const Column& column) { return !HasValue(column); });
    return inner;
  }
  Matrix matrix;
  matrix.charge = std::move(inner.charge);
  for (const size_t c : order) matrix.columns.push_back(std::move(inner.columns[c]));
  return matrix;
}

Result<Matrix> Evaluator::EvalQuantile(const Aggregate& aggregate, const Steps& steps) {
  FAULTLINE_ASSIGN(const std::vector<double> quantiles, EvalScalar(*aggregate.parameter, steps));
  FAULTLINE_ASSIGN(Matrix inner, Eval(*aggregate.inner, steps));
  Matrix matrix;
  std::vector<double> present;
  for (const std::vector<size_t>& group : GroupsOf(aggregate, inner)) {
    FAULTLINE_ASSIGN(
        Column column,
        NewColumn(matrix, GroupLabels(aggregate, inner.columns[group[0]].labels), steps));
    for (size_t i = 0; i < steps.count; ++i) {
      present.clear();
      for (const size_t c : group) {
        if (!IsAbsent(inner.columns[c].values[i])) present.push_back(inner.columns[c].values[i]);
      }
      if (!present.empty()) column.values[i] = QuantileOf(quantiles[i], present);
    }
    matrix.columns.push_back(std::move(column));
  }
  return matrix;
}

Result<Matrix> Evaluator::EvalCountValues(const Aggregate& aggregate, const Steps& steps) {
  const Expr& parameter = Unwrapped(*aggregate.parameter);
  const std::string& name = static_cast<const StringLiteral&>(parameter).value;
  if (!IsLabelName(name))
    return Fail(ErrorCode::kInvalidArgument, "invalid label name {}", Quote(name));
  FAULTLINE_ASSIGN(Matrix inner, Eval(*aggregate.inner, steps));
  Matrix matrix;
  std::unordered_map<std::string, size_t> index;
  for (const Column& column : inner.columns) {
    Labels group = GroupLabels(aggregate, column.labels);
    const bool labelled_away =
        aggregate.without &&
        std::binary_search(aggregate.grouping.begin(), aggregate.grouping.end(), name);
    for (size_t i = 0; i < steps.count; ++i) {
      if (IsAbsent(column.values[i])) continue;
      if (!labelled_away) SetLabel(group, name, GoFloatText(column.values[i]));
      const auto [at, is_new] = index.try_emplace(KeyOf(group), matrix.columns.size());
      if (is_new) {
        FAULTLINE_ASSIGN(Column counted, NewColumn(matrix, group, steps));
        matrix.columns.push_back(std::move(counted));
      }
      double& count = matrix.columns[at->second].values[i];
      count = IsAbsent(count) ? 1 : count + 1;
    }
  }
  return matrix;
}

}  // namespace faultline::promql
