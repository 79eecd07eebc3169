// The tree of a PromQL expression. One struct per kind of node; a node owns its children. Positions
// are byte offsets into the query, for error messages. LogQL's metric queries are the same tree
// with LogRange leaves.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "aggregator/query/promql_lexer.h"
#include "aggregator/store/store.h"

namespace faultline::promql {

enum class ValueType { kNone, kScalar, kVector, kMatrix, kString };
// "scalar", "vector", "matrix", "string", "none": as in the API's resultType.
std::string_view TypeName(ValueType type);
// "scalar", "instant vector", "range vector", "string": as in error messages.
std::string_view DocumentedType(ValueType type);

struct SourceRange {
  size_t begin = 0;
  size_t end = 0;
};

struct FunctionRow;    // promql_functions.h
class LogRangeSource;  // evaluator.h

enum class ExprKind {
  kNumber,
  kString,
  kVectorSelector,
  kMatrixSelector,
  kSubquery,
  kParen,
  kUnary,
  kBinary,
  kAggregate,
  kCall,
  kLogRange,
};

struct Expr {
  Expr(ExprKind k, ValueType t, SourceRange r) : kind(k), type(t), where(r) {}
  virtual ~Expr() = default;
  ExprKind kind;
  ValueType type;
  SourceRange where;
  uint32_t depth = 1;  // of the tree below, bounded by the parser
  // Its value is the same at every step of a range (everything below is fixed with @).
  bool step_invariant = false;
};
using ExprPtr = std::unique_ptr<Expr>;

struct NumberLiteral : Expr {
  NumberLiteral(double v, SourceRange r)
      : Expr(ExprKind::kNumber, ValueType::kScalar, r), value(v) {}
  double value;
};

struct StringLiteral : Expr {
  StringLiteral(std::string v, SourceRange r)
      : Expr(ExprKind::kString, ValueType::kString, r), value(std::move(v)) {}
  std::string value;
};

// offset and @, of selectors and subqueries.
struct TimeModifiers {
  enum class Anchor { kNone, kTime, kStart, kEnd };
  int64_t offset_ms = 0;
  bool has_offset = false;
  Anchor anchor = Anchor::kNone;
  int64_t at_ms = 0;  // of kTime
};

struct VectorSelector : Expr {
  explicit VectorSelector(SourceRange r) : Expr(ExprKind::kVectorSelector, ValueType::kVector, r) {}
  std::string name;  // in front of the braces; then also the last matcher
  std::vector<LabelMatcher> matchers;
  TimeModifiers modifiers;
};

struct MatrixSelector : Expr {
  explicit MatrixSelector(SourceRange r) : Expr(ExprKind::kMatrixSelector, ValueType::kMatrix, r) {}
  std::unique_ptr<VectorSelector> selector;  // holds the modifiers
  int64_t range_ms = 0;
};

struct Subquery : Expr {
  explicit Subquery(SourceRange r) : Expr(ExprKind::kSubquery, ValueType::kMatrix, r) {}
  ExprPtr inner;
  int64_t range_ms = 0;
  int64_t step_ms = 0;  // 0: the default
  TimeModifiers modifiers;
};

struct Paren : Expr {
  Paren(ExprPtr e, SourceRange r) : Expr(ExprKind::kParen, e->type, r), inner(std::move(e)) {}
  ExprPtr inner;
};

struct Unary : Expr {
  Unary(ExprPtr e, bool minus, SourceRange r)
      : Expr(ExprKind::kUnary, e->type, r), inner(std::move(e)), negative(minus) {}
  ExprPtr inner;
  bool negative;
};

enum class Cardinality { kOneToOne, kManyToOne, kOneToMany, kManyToMany };

struct VectorMatching {
  Cardinality cardinality = Cardinality::kOneToOne;
  bool on = false;  // otherwise ignoring
  bool written = false;
  std::vector<std::string> labels;
  std::vector<std::string> include;  // of group_left, group_right
};

struct Binary : Expr {
  Binary(TokenKind o, ExprPtr l, ExprPtr r)
      : Expr(ExprKind::kBinary, ValueType::kVector, {l->where.begin, r->where.end}),
        op(o),
        left(std::move(l)),
        right(std::move(r)) {}
  TokenKind op;
  ExprPtr left;
  ExprPtr right;
  bool return_bool = false;
  VectorMatching matching;
  SourceRange op_where;
};

struct Aggregate : Expr {
  explicit Aggregate(TokenKind o, SourceRange r)
      : Expr(ExprKind::kAggregate, ValueType::kVector, r), op(o) {}
  TokenKind op;
  ExprPtr inner;
  ExprPtr parameter;
  bool without = false;
  std::vector<std::string> grouping;  // sorted, unique
};

struct Call : Expr {
  Call(const FunctionRow* f, ValueType t, SourceRange r)
      : Expr(ExprKind::kCall, t, r), function(f) {}
  const FunctionRow* function;
  std::vector<ExprPtr> arguments;
};

// A range aggregation over log lines, as rate({app="a"} |= "x" [5m]); made by the LogQL parser
// only.
struct LogRange : Expr {
  LogRange(std::shared_ptr<const LogRangeSource> s, SourceRange r)
      : Expr(ExprKind::kLogRange, ValueType::kVector, r), source(std::move(s)) {}
  std::shared_ptr<const LogRangeSource> source;
  int64_t range_ms = 0;
  int64_t offset_ms = 0;
};

// Without the parentheses around it.
const Expr& Unwrapped(const Expr& expr);

}  // namespace faultline::promql
