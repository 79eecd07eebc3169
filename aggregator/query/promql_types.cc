// The type rules of PromQL, checked after parsing in Prometheus' order so that the first message is
// the same one.
#include "aggregator/query/promql_functions.h"
#include "aggregator/query/promql_parser.h"
#include "aggregator/store/value_test.h"

namespace faultline::promql {
namespace {

class TypeChecker {
 public:
  explicit TypeChecker(std::string_view query) : query_(query) {}

  Result<void> Check(Expr& expr) {
    switch (expr.kind) {
      case ExprKind::kNumber:
      case ExprKind::kString:
        expr.step_invariant = true;
        return {};
      case ExprKind::kVectorSelector:
        return CheckSelector(static_cast<VectorSelector&>(expr));
      case ExprKind::kMatrixSelector: {
        auto& matrix = static_cast<MatrixSelector&>(expr);
        FAULTLINE_TRY(Check(*matrix.selector));
        expr.step_invariant = matrix.selector->step_invariant;
        return {};
      }
      case ExprKind::kSubquery:
        return CheckSubquery(static_cast<Subquery&>(expr));
      case ExprKind::kParen: {
        auto& paren = static_cast<Paren&>(expr);
        FAULTLINE_TRY(Check(*paren.inner));
        expr.step_invariant = paren.inner->step_invariant;
        return {};
      }
      case ExprKind::kUnary:
        return CheckUnary(static_cast<Unary&>(expr));
      case ExprKind::kBinary:
        return CheckBinary(static_cast<Binary&>(expr));
      case ExprKind::kAggregate:
        return CheckAggregate(static_cast<Aggregate&>(expr));
      case ExprKind::kCall:
        return CheckCall(static_cast<Call&>(expr));
      case ExprKind::kLogRange:
        return {};
    }
    return {};
  }

 private:
  std::unexpected<Error> FailAt(const Expr& expr, std::string_view message) const {
    return FailAt(expr.where.begin, message);
  }
  std::unexpected<Error> FailAt(size_t position, std::string_view message) const {
    return std::unexpected(
        Error{ErrorCode::kInvalidArgument, ParseErrorText(query_, position, message)});
  }

  Result<void> Expect(Expr& expr, ValueType wanted, std::string_view context) {
    FAULTLINE_TRY(Check(expr));
    if (expr.type == wanted) return {};
    return FailAt(expr, fmt::format("expected type {} in {}, got {}", DocumentedType(wanted),
                                    context, DocumentedType(expr.type)));
  }

  Result<void> CheckSelector(VectorSelector& selector) {
    selector.step_invariant = selector.modifiers.anchor != TimeModifiers::Anchor::kNone;
    if (!selector.name.empty()) {
      for (size_t i = 0; i + 1 < selector.matchers.size(); ++i) {
        if (selector.matchers[i].name == "__name__") {
          return FailAt(selector,
                        fmt::format("metric name must not be set twice: {} or {}",
                                    Quote(selector.name), Quote(selector.matchers[i].value)));
        }
      }
      return {};
    }
    for (const LabelMatcher& matcher : selector.matchers) {
      if (!MatchesEmpty(matcher)) return {};
    }
    return FailAt(selector, "vector selector must contain at least one non-empty matcher");
  }

  static bool MatchesEmpty(const LabelMatcher& matcher) {
    const auto test = ValueTest::Of(matcher);
    return test && test->Keeps("");
  }

  Result<void> CheckSubquery(Subquery& subquery) {
    FAULTLINE_TRY(Check(*subquery.inner));
    if (subquery.inner->type != ValueType::kVector) {
      return FailAt(subquery,
                    fmt::format("subquery is only allowed on instant vector, got {} instead",
                                TypeName(subquery.inner->type)));
    }
    subquery.step_invariant = subquery.modifiers.anchor != TimeModifiers::Anchor::kNone;
    return {};
  }

  Result<void> CheckUnary(Unary& unary) {
    FAULTLINE_TRY(Check(*unary.inner));
    if (unary.inner->type != ValueType::kScalar && unary.inner->type != ValueType::kVector) {
      return FailAt(unary,
                    fmt::format("unary expression only allowed on expressions of type scalar or "
                                "instant vector, got {}",
                                Quote(DocumentedType(unary.inner->type))));
    }
    unary.step_invariant = unary.inner->step_invariant;
    return {};
  }

  Result<void> CheckBinary(Binary& binary) {
    FAULTLINE_TRY(Check(*binary.left));
    FAULTLINE_TRY(Check(*binary.right));
    const ValueType left = binary.left->type, right = binary.right->type;
    const bool scalars = left == ValueType::kScalar && right == ValueType::kScalar;
    if (binary.return_bool && !IsComparison(binary.op)) {
      return FailAt(binary.op_where.begin,
                    "bool modifier can only be used on comparison operators");
    }
    if (IsComparison(binary.op) && !binary.return_bool && scalars) {
      return FailAt(binary.op_where.begin, "comparisons between scalars must use BOOL modifier");
    }
    VectorMatching& matching = binary.matching;
    if (IsSetOperator(binary.op) && matching.cardinality == Cardinality::kOneToOne) {
      matching.cardinality = Cardinality::kManyToMany;
    }
    for (const std::string& label : matching.labels) {
      for (const std::string& included : matching.include) {
        if (label == included && matching.on) {
          return FailAt(
              binary.op_where.begin,
              fmt::format("label {} must not occur in ON and GROUP clause at once", Quote(label)));
        }
      }
    }
    for (const Expr* side : {binary.left.get(), binary.right.get()}) {
      if (side->type != ValueType::kScalar && side->type != ValueType::kVector) {
        return FailAt(*side, "binary expression must contain only scalar and instant vector types");
      }
    }
    const bool vectors = left == ValueType::kVector && right == ValueType::kVector;
    if (!vectors && !matching.labels.empty()) {
      return FailAt(binary, "vector matching only allowed between instant vectors");
    }
    if (vectors && IsSetOperator(binary.op) && matching.cardinality != Cardinality::kManyToMany) {
      return FailAt(
          binary, fmt::format("no grouping allowed for {} operation", Quote(OperatorText(binary))));
    }
    if (!vectors && IsSetOperator(binary.op)) {
      return FailAt(binary, fmt::format("set operator {} not allowed in binary scalar expression",
                                        Quote(OperatorText(binary))));
    }
    binary.step_invariant = binary.left->step_invariant && binary.right->step_invariant;
    return {};
  }

  static std::string_view OperatorText(const Binary& binary) {
    if (binary.op == TokenKind::kAnd) return "and";
    return binary.op == TokenKind::kOr ? "or" : "unless";
  }

  Result<void> CheckAggregate(Aggregate& aggregate) {
    FAULTLINE_TRY(Expect(*aggregate.inner, ValueType::kVector, "aggregation expression"));
    if (aggregate.parameter) {
      const ValueType wanted =
          aggregate.op == TokenKind::kCountValues ? ValueType::kString : ValueType::kScalar;
      FAULTLINE_TRY(Expect(*aggregate.parameter, wanted, "aggregation parameter"));
    }
    aggregate.step_invariant = aggregate.inner->step_invariant;
    return {};
  }

  Result<void> CheckCall(Call& call) {
    const FunctionRow& row = *call.function;
    const size_t given = call.arguments.size(), wanted = row.arguments.size();
    if (row.variadic == 0 && given != wanted) {
      return FailAt(call, fmt::format("expected {} argument(s) in call to {}, got {}", wanted,
                                      Quote(row.name), given));
    }
    if (row.variadic != 0 && given + 1 < wanted) {
      return FailAt(call, fmt::format("expected at least {} argument(s) in call to {}, got {}",
                                      wanted - 1, Quote(row.name), given));
    }
    if (row.variadic > 0 && given > wanted - 1 + static_cast<size_t>(row.variadic)) {
      return FailAt(call, fmt::format("expected at most {} argument(s) in call to {}, got {}",
                                      wanted - 1 + static_cast<size_t>(row.variadic),
                                      Quote(row.name), given));
    }
    call.step_invariant = !row.time_dependent;
    for (size_t i = 0; i < given; ++i) {
      const ValueType type = row.arguments[std::min(i, wanted - 1)];
      FAULTLINE_TRY(
          Expect(*call.arguments[i], type, fmt::format("call to function {}", Quote(row.name))));
      call.step_invariant = call.step_invariant && call.arguments[i]->step_invariant;
    }
    return {};
  }

  std::string_view query_;
};

}  // namespace

Result<void> CheckTypes(std::string_view query, Expr& expr) {
  return TypeChecker(query).Check(expr);
}

}  // namespace faultline::promql
