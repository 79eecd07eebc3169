// What may stand behind an expression: offset, @, a range, a subquery.
#include <algorithm>
#include <cmath>

#include "aggregator/query/number_text.h"
#include "aggregator/query/promql_grammar.h"
#include "aggregator/query/promql_parser.h"

namespace faultline::promql {
namespace {

// The modifiers of what offset and @ may follow; nullptr for anything else.
TimeModifiers* ModifiersOf(Expr& expr) {
  switch (expr.kind) {
    case ExprKind::kVectorSelector:
      return &static_cast<VectorSelector&>(expr).modifiers;
    case ExprKind::kMatrixSelector:
      return &static_cast<MatrixSelector&>(expr).selector->modifiers;
    case ExprKind::kSubquery:
      return &static_cast<Subquery&>(expr).modifiers;
    default:
      return nullptr;
  }
}

}  // namespace

Result<ExprPtr> Grammar::Postfix(ExprPtr expr) {
  while (true) {
    if (Is(TokenKind::kOffset)) {
      FAULTLINE_TRY(OffsetModifier(*expr));
    } else if (Is(TokenKind::kAt)) {
      FAULTLINE_TRY(AtModifier(*expr));
    } else if (Is(TokenKind::kLeftBracket)) {
      FAULTLINE_ASSIGN(expr, Brackets(std::move(expr)));
    } else {
      return expr;
    }
    if (expr->depth > kMaxExprDepth)
      return FailAt(expr->where.begin, "expression is nested too deeply");
  }
}

Result<int64_t> Grammar::Duration(const Token& token) const {
  const auto duration = ParsePrometheusDuration(token.text);
  if (!duration) return FailAt(token.begin, duration.error().message);
  if (*duration == 0) return FailAt(token.begin, "duration must be greater than 0");
  return *duration;
}

Result<void> Grammar::OffsetModifier(Expr& expr) {
  Advance();
  const bool negative = Take(TokenKind::kSub);
  if (!Is(TokenKind::kDuration)) return Unexpected("offset", "duration");
  FAULTLINE_ASSIGN(const int64_t duration, Duration(token_));
  TimeModifiers* modifiers = ModifiersOf(expr);
  if (modifiers == nullptr) {
    return FailAt(expr.where.begin,
                  "offset modifier must be preceded by an instant vector selector or "
                  "range vector selector or a subquery");
  }
  if (modifiers->has_offset)
    return FailAt(expr.where.begin, "offset may not be set multiple times");
  modifiers->has_offset = true;
  modifiers->offset_ms = negative ? -duration : duration;
  expr.where.end = token_.end;
  Advance();
  return {};
}

Result<void> Grammar::AtModifier(Expr& expr) {
  Advance();
  TimeModifiers read;
  double seconds = 0;
  if (Is(TokenKind::kStart) || Is(TokenKind::kEnd)) {
    read.anchor =
        Is(TokenKind::kStart) ? TimeModifiers::Anchor::kStart : TimeModifiers::Anchor::kEnd;
    Advance();
    if (!Take(TokenKind::kLeftParen)) return Unexpected("@", "timestamp");
    if (!Is(TokenKind::kRightParen)) return Unexpected("@", "timestamp");
  } else {
    read.anchor = TimeModifiers::Anchor::kTime;
    const bool negative = Is(TokenKind::kSub);
    if (Is(TokenKind::kSub) || Is(TokenKind::kAdd)) Advance();
    if (!Is(TokenKind::kNumber)) return Unexpected("@", "timestamp");
    FAULTLINE_ASSIGN(seconds, NumberValue(token_));
    if (negative) seconds = -seconds;
  }
  TimeModifiers* modifiers = ModifiersOf(expr);
  if (modifiers != nullptr && !(std::abs(seconds) < 9.2e15)) {
    const std::string text =
        std::isfinite(seconds) ? fmt::format("{:f}", seconds) : GoFloatText(seconds);
    return FailAt(expr.where.begin, "timestamp out of bounds for @ modifier: " + text);
  }
  if (modifiers == nullptr) {
    return FailAt(expr.where.begin,
                  "@ modifier must be preceded by an instant vector selector or range "
                  "vector selector or a subquery");
  }
  if (modifiers->anchor != TimeModifiers::Anchor::kNone) {
    return FailAt(expr.where.begin, "@ <timestamp> may not be set multiple times");
  }
  modifiers->anchor = read.anchor;
  // Far beyond any sample, but with room to subtract ranges and offsets.
  modifiers->at_ms = std::llround(std::clamp(seconds, -1e15, 1e15) * 1000);
  expr.where.end = token_.end;
  Advance();
  return {};
}

Result<ExprPtr> Grammar::Brackets(ExprPtr expr) {
  const size_t bracket = token_.begin;
  Advance();
  if (!Is(TokenKind::kDuration)) return Unexpected("subquery selector", "duration");
  FAULTLINE_ASSIGN(const int64_t range, Duration(token_));
  Advance();
  if (Take(TokenKind::kColon)) {
    auto subquery = std::make_unique<Subquery>(SourceRange{expr->where.begin, token_.end});
    subquery->range_ms = range;
    if (Is(TokenKind::kDuration)) {
      FAULTLINE_ASSIGN(subquery->step_ms, Duration(token_));
      Advance();
      if (!Is(TokenKind::kRightBracket)) return Unexpected("subquery selector", "\"]\"");
    } else if (!Is(TokenKind::kRightBracket)) {
      return Unexpected("subquery selector", "duration or \"]\"");
    }
    subquery->where.end = token_.end;
    subquery->depth = expr->depth + 1;
    subquery->inner = std::move(expr);
    Advance();
    return subquery;
  }
  if (!Is(TokenKind::kRightBracket)) return Unexpected("subquery or range", "\":\" or \"]\"");
  const size_t end = token_.end;
  Advance();
  if (expr->kind != ExprKind::kVectorSelector) {
    return FailAt(bracket, "ranges only allowed for vector selectors");
  }
  auto& selector = static_cast<VectorSelector&>(*expr);
  if (selector.modifiers.has_offset)
    return FailAt(bracket, "no offset modifiers allowed before range");
  if (selector.modifiers.anchor != TimeModifiers::Anchor::kNone) {
    return FailAt(bracket, "no @ modifiers allowed before range");
  }
  auto matrix = std::make_unique<MatrixSelector>(SourceRange{expr->where.begin, end});
  matrix->depth = expr->depth + 1;
  matrix->range_ms = range;
  matrix->selector.reset(static_cast<VectorSelector*>(expr.release()));
  return matrix;
}

}  // namespace faultline::promql
