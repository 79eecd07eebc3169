// Binary operators. Matching of vectors is decided once per pair of series by the signature of
// their labels; what depends on the step is only who is present, and with it whether a match is
// unique.
#include <algorithm>
#include <cmath>
#include <unordered_map>
#include <unordered_set>

#include "aggregator/query/evaluator.h"
#include "aggregator/query/promql_functions.h"

namespace faultline::promql {
namespace {

double Arithmetic(TokenKind op, double a, double b) {
  switch (op) {
    case TokenKind::kAdd:
      return a + b;
    case TokenKind::kSub:
      return a - b;
    case TokenKind::kMul:
      return a * b;
    case TokenKind::kDiv:
      return a / b;
    case TokenKind::kMod:
      return std::fmod(a, b);
    case TokenKind::kPow:
      return std::pow(a, b);
    default:
      return std::atan2(a, b);
  }
}

bool Compare(TokenKind op, double a, double b) {
  switch (op) {
    case TokenKind::kEqualTo:
      return a == b;
    case TokenKind::kNotEqual:
      return a != b;
    case TokenKind::kLess:
      return a < b;
    case TokenKind::kLessOrEqual:
      return a <= b;
    case TokenKind::kGreater:
      return a > b;
    default:
      return a >= b;
  }
}

// The result of an element with `left` and `right`; absent if a comparison filters it out. `kept`
// is what a comparison that holds yields.
double Element(const Binary& binary, double left, double right, double kept) {
  if (!IsComparison(binary.op)) return Arithmetic(binary.op, left, right);
  const bool holds = Compare(binary.op, left, right);
  if (binary.return_bool) return holds ? 1 : 0;
  return holds ? kept : Absent();
}

bool DropsName(const Binary& binary) {
  // atan2 keeps it, in Prometheus 2.42 too.
  return binary.return_bool || (!IsComparison(binary.op) && binary.op != TokenKind::kAtan2);
}

}  // namespace

Result<Matrix> Evaluator::EvalBinary(const Binary& binary, const Steps& steps) {
  const bool left_scalar = binary.left->type == ValueType::kScalar;
  const bool right_scalar = binary.right->type == ValueType::kScalar;
  if (left_scalar && right_scalar) return EvalScalars(binary, steps);
  if (left_scalar || right_scalar) return EvalVectorScalar(binary, steps);
  if (IsSetOperator(binary.op)) return EvalSetOperator(binary, steps);
  return EvalVectorMatching(binary, steps);
}

Result<Matrix> Evaluator::EvalScalars(const Binary& binary, const Steps& steps) {
  FAULTLINE_ASSIGN(const std::vector<double> left, EvalScalar(*binary.left, steps));
  FAULTLINE_ASSIGN(const std::vector<double> right, EvalScalar(*binary.right, steps));
  Matrix matrix;
  FAULTLINE_ASSIGN(Column column, NewColumn(matrix, {}, steps));
  for (size_t i = 0; i < steps.count; ++i) {
    column.values[i] = Element(binary, left[i], right[i], left[i]);
  }
  matrix.columns.push_back(std::move(column));
  return matrix;
}

Result<Matrix> Evaluator::EvalVectorScalar(const Binary& binary, const Steps& steps) {
  const bool scalar_left = binary.left->type == ValueType::kScalar;
  FAULTLINE_ASSIGN(const std::vector<double> scalars,
                   EvalScalar(scalar_left ? *binary.left : *binary.right, steps));
  const Expr& vector = scalar_left ? *binary.right : *binary.left;
  FAULTLINE_ASSIGN(Matrix matrix, Eval(vector, steps));
  for (Column& column : matrix.columns) {
    for (size_t i = 0; i < steps.count; ++i) {
      double& value = column.values[i];
      if (IsAbsent(value)) continue;
      value = scalar_left ? Element(binary, scalars[i], value, value)
                          : Element(binary, value, scalars[i], value);
    }
    if (DropsName(binary)) DropLabel(column.labels, kMetricName);
  }
  if (IsComparison(binary.op)) {
    std::erase_if(matrix.columns, [](const Column& column) { return !HasValue(column); });
  }
  if (DropsName(binary) && !DistinctWithoutName(vector)) FAULTLINE_TRY(MergeSameLabels(matrix));
  return matrix;
}

namespace {

// Series of both sides that share a signature.
struct MatchGroup {
  std::vector<size_t> many;  // left, or the side that group_left or group_right points to
  std::vector<size_t> one;
};

std::string SignatureOf(const VectorMatching& matching, const std::vector<std::string>& names,
                        const Labels& labels) {
  return matching.on ? KeyWith(labels, names) : KeyWithout(labels, names, true);
}

std::vector<std::string> Sorted(std::vector<std::string> names) {
  std::sort(names.begin(), names.end());
  return names;
}

std::vector<MatchGroup> Match(const VectorMatching& matching, const Matrix& many,
                              const Matrix& one) {
  const std::vector<std::string> names = Sorted(matching.labels);
  std::vector<MatchGroup> groups;
  std::unordered_map<std::string, size_t> index;
  const auto group_of = [&](const Column& column) -> MatchGroup& {
    const auto [at, is_new] =
        index.try_emplace(SignatureOf(matching, names, column.labels), groups.size());
    if (is_new) groups.emplace_back();
    return groups[at->second];
  };
  for (size_t i = 0; i < many.columns.size(); ++i) group_of(many.columns[i]).many.push_back(i);
  for (size_t i = 0; i < one.columns.size(); ++i) group_of(one.columns[i]).one.push_back(i);
  return groups;
}

bool AnyPresent(const Matrix& matrix, size_t step) {
  for (const Column& column : matrix.columns) {
    if (!IsAbsent(column.values[step])) return true;
  }
  return false;
}

bool AnyPresent(const Matrix& matrix, const std::vector<size_t>& columns, size_t step) {
  for (const size_t c : columns) {
    if (!IsAbsent(matrix.columns[c].values[step])) return true;
  }
  return false;
}

}  // namespace

Result<Matrix> Evaluator::EvalSetOperator(const Binary& binary, const Steps& steps) {
  FAULTLINE_ASSIGN(Matrix left, Eval(*binary.left, steps));
  FAULTLINE_ASSIGN(Matrix right, Eval(*binary.right, steps));
  const bool is_or = binary.op == TokenKind::kOr;
  for (const MatchGroup& group : Match(binary.matching, left, right)) {
    // `or` filters the right side by the left one; the others filter the left side by the right
    // one.
    Matrix& filtered = is_or ? right : left;
    const Matrix& by = is_or ? left : right;
    const std::vector<size_t>& columns = is_or ? group.one : group.many;
    const std::vector<size_t>& by_columns = is_or ? group.many : group.one;
    for (size_t i = 0; i < steps.count; ++i) {
      if (AnyPresent(by, by_columns, i) == (binary.op == TokenKind::kAnd)) continue;
      for (const size_t c : columns) filtered.columns[c].values[i] = promql::Absent();
    }
  }
  if (is_or) {
    for (Column& column : right.columns) left.columns.push_back(std::move(column));
    FAULTLINE_TRY(Reserve(left, right.columns.size() * steps.count));
  }
  std::erase_if(left.columns, [](const Column& column) { return !HasValue(column); });
  FAULTLINE_TRY(MergeSameLabels(left));
  return left;
}

namespace {

// Computes the elements of one match group; finds out at each step who the one is, and whether that
// is unique.
class Matcher {
 public:
  Matcher(Evaluator& evaluator, const Binary& binary, const Steps& steps, const Matrix& many,
          const Matrix& one, Matrix& out)
      : evaluator_(evaluator),
        binary_(binary),
        names_(Sorted(binary.matching.labels)),
        steps_(steps),
        many_(many),
        one_(one),
        out_(out) {}

  Result<void> Run(const MatchGroup& group) {
    FAULTLINE_TRY(evaluator_.CheckStop());
    if (group.one.size() == 1 && group.many.size() == 1) return Pair(group.many[0], group.one[0]);
    std::unordered_map<uint64_t, size_t> outputs;  // (many, one) -> column of out_
    for (size_t i = 0; i < steps_.count; ++i) {
      FAULTLINE_ASSIGN(const size_t one, UniqueOne(group, i));
      if (one == kNone) continue;
      FAULTLINE_TRY(Step(group, one, i, outputs));
    }
    return {};
  }

 private:
  static constexpr size_t kNone = SIZE_MAX;

  bool one_is_left() const { return binary_.matching.cardinality == Cardinality::kOneToMany; }

  double Value(double many, double one) const {
    const double left = one_is_left() ? one : many, right = one_is_left() ? many : one;
    return Element(binary_, left, right, left);
  }

  Result<void> Pair(size_t many, size_t one) {
    FAULTLINE_ASSIGN(Column column, evaluator_.NewColumn(out_, ResultLabels(many, one), steps_));
    const std::vector<double>& a = many_.columns[many].values;
    const std::vector<double>& b = one_.columns[one].values;
    for (size_t i = 0; i < steps_.count; ++i) {
      if (!IsAbsent(a[i]) && !IsAbsent(b[i])) column.values[i] = Value(a[i], b[i]);
    }
    out_.columns.push_back(std::move(column));
    return {};
  }

  Result<size_t> UniqueOne(const MatchGroup& group, size_t step) {
    size_t found = kNone;
    for (const size_t c : group.one) {
      if (IsAbsent(one_.columns[c].values[step])) continue;
      if (found == kNone) {
        found = c;
        continue;
      }
      if (!AnyPresent(many_, step)) return kNone;  // nothing to match: not looked at
      const Labels& labels = one_.columns[c].labels;
      const Labels matched =
          binary_.matching.on ? Keep(labels, names_) : Without(labels, names_, true);
      return Fail(ErrorCode::kInvalidArgument,
                  "found duplicate series for the match group {} on the {} hand-side of the "
                  "operation: [{}, {}];"
                  "many-to-many matching not allowed: matching labels must be unique on one side",
                  LabelText(matched), one_is_left() ? "left" : "right", LabelText(labels),
                  LabelText(one_.columns[found].labels));
    }
    return found;
  }

  Result<void> Step(const MatchGroup& group, size_t one, size_t step,
                    std::unordered_map<uint64_t, size_t>& outputs) {
    bool matched = false;
    std::unordered_set<std::string> inserted;
    for (const size_t many : group.many) {
      const double element = many_.columns[many].values[step];
      if (IsAbsent(element)) continue;
      const double value = Value(element, one_.columns[one].values[step]);
      if (IsAbsent(value)) continue;
      const auto [at, is_new] =
          outputs.try_emplace(many * one_.columns.size() + one, out_.columns.size());
      if (is_new) {
        FAULTLINE_ASSIGN(Column column,
                         evaluator_.NewColumn(out_, ResultLabels(many, one), steps_));
        out_.columns.push_back(std::move(column));
      }
      Column& column = out_.columns[at->second];
      column.values[step] = value;
      if (binary_.matching.cardinality == Cardinality::kOneToOne) {
        if (matched) {
          return Fail(ErrorCode::kInvalidArgument,
                      "multiple matches for labels: many-to-one matching must be explicit "
                      "(group_left/group_right)");
        }
        matched = true;
      } else if (group.many.size() > 1 && !inserted.insert(KeyOf(column.labels)).second) {
        return Fail(ErrorCode::kInvalidArgument,
                    "multiple matches for labels: grouping labels must ensure unique matches");
      }
    }
    return {};
  }

  Labels ResultLabels(size_t many, size_t one) const {
    const VectorMatching& matching = binary_.matching;
    Labels labels = many_.columns[many].labels;
    if (DropsName(binary_)) DropLabel(labels, kMetricName);
    if (matching.cardinality == Cardinality::kOneToOne) {
      labels = matching.on ? Keep(labels, names_) : Without(labels, names_, false);
    }
    for (const std::string& name : matching.include) {
      SetLabel(labels, name, LabelValue(one_.columns[one].labels, name));
    }
    if (binary_.return_bool) DropLabel(labels, kMetricName);
    return labels;
  }

  Evaluator& evaluator_;
  const Binary& binary_;
  const std::vector<std::string> names_;
  const Steps& steps_;
  const Matrix& many_;
  const Matrix& one_;
  Matrix& out_;
};

}  // namespace

Result<Matrix> Evaluator::EvalVectorMatching(const Binary& binary, const Steps& steps) {
  FAULTLINE_ASSIGN(Matrix left, Eval(*binary.left, steps));
  FAULTLINE_ASSIGN(Matrix right, Eval(*binary.right, steps));
  if (binary.matching.cardinality == Cardinality::kOneToMany) std::swap(left, right);
  Matrix out;
  Matcher matcher(*this, binary, steps, left, right, out);
  for (const MatchGroup& group : Match(binary.matching, left, right)) {
    if (!group.one.empty()) FAULTLINE_TRY(matcher.Run(group));
  }
  std::erase_if(out.columns, [](const Column& column) { return !HasValue(column); });
  FAULTLINE_TRY(MergeSameLabels(out));
  return out;
}

}  // namespace faultline::promql
