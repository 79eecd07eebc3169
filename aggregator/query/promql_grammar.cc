#include "aggregator/query/promql_grammar.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "aggregator/query/promql_functions.h"
#include "aggregator/query/promql_parser.h"
#include "common/text.h"

namespace faultline::promql {
namespace {

constexpr int kUnaryPrecedence =
    5;  // of what a sign applies to: `-a ^ b` is `-(a ^ b)`, `-a * b` is `(-a) * b`

int PrecedenceOf(TokenKind op) {
  if (op == TokenKind::kOr) return 0;
  if (op == TokenKind::kAnd || op == TokenKind::kUnless) return 1;
  if (IsComparison(op)) return 2;
  if (op == TokenKind::kAdd || op == TokenKind::kSub) return 3;
  if (op == TokenKind::kPow) return 5;
  return 4;  // * / % atan2
}

// Keywords that may also be the name of a metric.
bool IsMetricWord(TokenKind kind) {
  switch (kind) {
    case TokenKind::kAtan2:
    case TokenKind::kBool:
    case TokenKind::kGroupLeft:
    case TokenKind::kGroupRight:
    case TokenKind::kIgnoring:
    case TokenKind::kOn:
      return false;
    default:
      return IsWord(kind);
  }
}

bool HasParameter(TokenKind op) {
  return op == TokenKind::kTopk || op == TokenKind::kBottomk || op == TokenKind::kQuantile ||
         op == TokenKind::kCountValues;
}

}  // namespace

std::unexpected<Error> Grammar::FailAt(size_t position, std::string_view message) const {
  return std::unexpected(
      Error{ErrorCode::kInvalidArgument, ParseErrorText(query_, position, message)});
}

std::unexpected<Error> Grammar::Unexpected(std::string_view context,
                                           std::string_view expected) const {
  if (Is(TokenKind::kError)) return FailAt(token_.begin, token_.error);
  if (context.empty() && aggregations_open_ > 0) context = "aggregation";
  std::string message = "unexpected " + Describe(token_);
  if (!context.empty()) message += fmt::format(" in {}", context);
  if (!expected.empty()) message += fmt::format(", expected {}", expected);
  return FailAt(token_.begin, message);
}

void Grammar::Advance() {
  last_end_ = token_.end;
  token_ = lexer_.Next();
}

bool Grammar::Take(TokenKind kind) {
  if (!Is(kind)) return false;
  Advance();
  return true;
}

Result<ExprPtr> Grammar::ParseAll() {
  if (query_.size() > kMaxQueryBytes) {
    return Fail(ErrorCode::kInvalidArgument,
                "query of {} bytes is longer than the limit of {} bytes", query_.size(),
                kMaxQueryBytes);
  }
  Advance();
  if (Is(TokenKind::kEof)) {
    return std::unexpected(Error{ErrorCode::kInvalidArgument,
                                 ParseErrorText(query_, 0, "no expression found in input")});
  }
  FAULTLINE_ASSIGN(ExprPtr expr, Expression());
  if (!Is(TokenKind::kEof)) return Unexpected();
  return expr;
}

Result<std::unique_ptr<VectorSelector>> Grammar::ParseSelectorOnly() {
  FAULTLINE_ASSIGN(ExprPtr expr, ParseAll());
  if (expr->kind != ExprKind::kVectorSelector) {
    return FailAt(expr->where.begin, "expected a vector selector");
  }
  return std::unique_ptr<VectorSelector>(static_cast<VectorSelector*>(expr.release()));
}

Result<ExprPtr> Grammar::Expression(int min_precedence) {
  if (++nesting_ > kMaxExprDepth) return FailAt(token_.begin, "expression is nested too deeply");
  FAULTLINE_ASSIGN(ExprPtr left, UnaryOrPostfix());
  while (IsBinaryOperator(token_.kind) && PrecedenceOf(token_.kind) >= min_precedence) {
    const TokenKind op = token_.kind;
    const SourceRange op_where{token_.begin, token_.end};
    Advance();
    FAULTLINE_ASSIGN(left, BinaryTail(std::move(left), op, op_where));
  }
  --nesting_;
  return left;
}

Result<ExprPtr> Grammar::BinaryTail(ExprPtr left, TokenKind op, SourceRange op_where) {
  const bool return_bool = Take(TokenKind::kBool);
  FAULTLINE_ASSIGN(VectorMatching matching, Matching());
  // Everything is left-associative but ^.
  const int precedence = PrecedenceOf(op) + (op == TokenKind::kPow ? 0 : 1);
  FAULTLINE_ASSIGN(ExprPtr right, Expression(precedence));
  const uint32_t depth = std::max(left->depth, right->depth) + 1;
  if (depth > kMaxExprDepth) return FailAt(op_where.begin, "expression is nested too deeply");
  auto binary = std::make_unique<Binary>(op, std::move(left), std::move(right));
  binary->depth = depth;
  binary->op_where = op_where;
  binary->return_bool = return_bool;
  binary->matching = std::move(matching);
  if (binary->left->type == ValueType::kScalar && binary->right->type == ValueType::kScalar) {
    binary->type = ValueType::kScalar;
  }
  return binary;
}

Result<VectorMatching> Grammar::Matching() {
  VectorMatching matching;
  if (!Is(TokenKind::kOn) && !Is(TokenKind::kIgnoring)) return matching;
  matching.written = true;
  matching.on = Is(TokenKind::kOn);
  Advance();
  FAULTLINE_ASSIGN(matching.labels, GroupingLabels());
  if (!Is(TokenKind::kGroupLeft) && !Is(TokenKind::kGroupRight)) return matching;
  matching.cardinality =
      Is(TokenKind::kGroupLeft) ? Cardinality::kManyToOne : Cardinality::kOneToMany;
  Advance();
  if (Is(TokenKind::kLeftParen)) {
    FAULTLINE_ASSIGN(matching.include, GroupingLabels());
  }
  return matching;
}

Result<ExprPtr> Grammar::UnaryOrPostfix() {
  if (!Is(TokenKind::kAdd) && !Is(TokenKind::kSub)) {
    FAULTLINE_ASSIGN(ExprPtr expr, Primary());
    return Postfix(std::move(expr));
  }
  const bool negative = Is(TokenKind::kSub);
  const size_t begin = token_.begin;
  Advance();
  FAULTLINE_ASSIGN(ExprPtr inner, Expression(kUnaryPrecedence));
  const SourceRange where{begin, inner->where.end};
  if (inner->kind == ExprKind::kNumber) {
    auto& number = static_cast<NumberLiteral&>(*inner);
    if (negative) number.value = -number.value;
    number.where = where;
    return inner;
  }
  const uint32_t depth = inner->depth + 1;
  auto unary = std::make_unique<Unary>(std::move(inner), negative, where);
  unary->depth = depth;
  return unary;
}

Result<ExprPtr> Grammar::Primary() {
  FAULTLINE_ASSIGN(ExprPtr own, OwnPrimary());
  if (own) return own;
  switch (token_.kind) {
    case TokenKind::kNumber:
      return Number();
    case TokenKind::kLeftParen:
      return ParenOrFail();
    case TokenKind::kLeftBrace:
      return Selector(std::nullopt);
    case TokenKind::kString: {
      const Token token = token_;
      auto text = Unquote(token.text);
      if (!text) return FailAt(token.begin, text.error().message);
      Advance();
      return std::make_unique<StringLiteral>(std::move(*text), SourceRange{token.begin, token.end});
    }
    default:
      break;
  }
  if (IsAggregator(token_.kind)) return AggregateOrSelector();
  if (!IsMetricWord(token_.kind)) return Unexpected();
  const Token name = token_;
  Advance();
  if (name.kind == TokenKind::kIdentifier && Is(TokenKind::kLeftParen)) return FunctionCall(name);
  return Selector(name);
}

Result<double> Grammar::NumberValue(const Token& token) const {
  std::string_view text = token.text;
  const auto integer = [&]() -> std::optional<uint64_t> {
    if (text.starts_with("0x") || text.starts_with("0X")) return ParseUint(text.substr(2), 16);
    if (text.size() > 1 && text[0] == '0') return ParseUint(text.substr(1), 8);
    return ParseUint(text);
  }();
  if (integer && *integer <= INT64_MAX) return static_cast<double>(*integer);
  if (const auto value = ParseDouble(text)) return *value;
  double value = 0;  // out of range becomes Inf or 0, as strtod has it
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc::result_out_of_range && end == text.data() + text.size()) {
    return FailAt(
        token.begin,
        fmt::format("error parsing number: strconv.ParseFloat: parsing {}: value out of range",
                    Quote(text)));
  }
  return FailAt(token.begin,
                fmt::format("error parsing number: strconv.ParseFloat: parsing {}: invalid syntax",
                            Quote(text)));
}

Result<ExprPtr> Grammar::Number() {
  FAULTLINE_ASSIGN(const double value, NumberValue(token_));
  const SourceRange where{token_.begin, token_.end};
  Advance();
  return std::make_unique<NumberLiteral>(value, where);
}

Result<ExprPtr> Grammar::ParenOrFail() {
  const size_t begin = token_.begin;
  Advance();
  FAULTLINE_ASSIGN(ExprPtr inner, Expression());
  if (!Is(TokenKind::kRightParen)) return Unexpected();
  const SourceRange where{begin, token_.end};
  Advance();
  const uint32_t depth = inner->depth + 1;
  auto paren = std::make_unique<Paren>(std::move(inner), where);
  paren->depth = depth;
  return paren;
}

Result<ExprPtr> Grammar::AggregateOrSelector() {
  const Token op = token_;
  Advance();
  if (!Is(TokenKind::kLeftParen) && !Is(TokenKind::kBy) && !Is(TokenKind::kWithout)) {
    return Selector(op);
  }
  ++aggregations_open_;
  auto aggregate = AggregateBody(op);
  if (aggregate) --aggregations_open_;
  return aggregate;
}

Result<ExprPtr> Grammar::AggregateBody(Token op) {
  auto aggregate = std::make_unique<Aggregate>(op.kind, SourceRange{op.begin, op.end});
  const auto modifier = [&]() -> Result<bool> {
    if (!Is(TokenKind::kBy) && !Is(TokenKind::kWithout)) return false;
    aggregate->without = Is(TokenKind::kWithout);
    Advance();
    FAULTLINE_ASSIGN(aggregate->grouping, GroupingLabels());
    return true;
  };
  FAULTLINE_ASSIGN(const bool in_front, modifier());
  if (!Is(TokenKind::kLeftParen)) return Unexpected();
  FAULTLINE_ASSIGN(std::vector<ExprPtr> arguments, CallBody());
  if (!in_front) FAULTLINE_TRY(modifier());
  aggregate->where.end = last_end_;
  if (arguments.empty()) {
    return FailAt(op.begin, "no arguments for aggregate expression provided");
  }
  const size_t wanted = HasParameter(op.kind) ? 2 : 1;
  if (arguments.size() != wanted) {
    return FailAt(op.begin,
                  fmt::format("wrong number of arguments for aggregate expression provided, "
                              "expected {}, got {}",
                              wanted, arguments.size()));
  }
  for (const ExprPtr& argument : arguments)
    aggregate->depth = std::max(aggregate->depth, argument->depth + 1);
  aggregate->inner = std::move(arguments.back());
  if (wanted == 2) aggregate->parameter = std::move(arguments.front());
  std::sort(aggregate->grouping.begin(), aggregate->grouping.end());
  aggregate->grouping.erase(std::unique(aggregate->grouping.begin(), aggregate->grouping.end()),
                            aggregate->grouping.end());
  return aggregate;
}

Result<ExprPtr> Grammar::FunctionCall(Token name) {
  FAULTLINE_ASSIGN(std::vector<ExprPtr> arguments, CallBody());
  const FunctionRow* function = FindFunction(name.text);
  if (function == nullptr) {
    return FailAt(name.begin, fmt::format("unknown function with name {}", Quote(name.text)));
  }
  auto call =
      std::make_unique<Call>(function, function->returns, SourceRange{name.begin, last_end_});
  for (const ExprPtr& argument : arguments)
    call->depth = std::max(call->depth, argument->depth + 1);
  call->arguments = std::move(arguments);
  return call;
}

Result<std::vector<ExprPtr>> Grammar::CallBody() {
  std::vector<ExprPtr> arguments;
  Advance();  // (
  if (Take(TokenKind::kRightParen)) return arguments;
  while (true) {
    FAULTLINE_ASSIGN(ExprPtr argument, Expression());
    arguments.push_back(std::move(argument));
    if (Take(TokenKind::kRightParen)) return arguments;
    if (!Is(TokenKind::kComma)) return Unexpected();
    const size_t comma = token_.begin;
    Advance();
    if (Is(TokenKind::kRightParen)) {
      return FailAt(comma, "trailing commas not allowed in function call args");
    }
  }
}

Result<std::unique_ptr<VectorSelector>> Grammar::Selector(std::optional<Token> name) {
  const size_t begin = name ? name->begin : token_.begin;
  auto selector = std::make_unique<VectorSelector>(SourceRange{begin, name ? name->end : begin});
  if (Is(TokenKind::kLeftBrace)) {
    FAULTLINE_TRY(Matchers(*selector));
    selector->where.end = last_end_;
  }
  if (name) {
    selector->name = std::string(name->text);
    selector->matchers.push_back({LabelMatcher::Op::kEqual, "__name__", selector->name});
  }
  return selector;
}

Result<void> Grammar::Matchers(VectorSelector& selector) {
  Advance();  // {
  if (Take(TokenKind::kRightBrace)) return {};
  while (true) {
    FAULTLINE_TRY(Matcher(selector));
    if (Take(TokenKind::kRightBrace)) return {};
    if (!Take(TokenKind::kComma)) return Unexpected("label matching", "\",\" or \"}\"");
    if (Take(TokenKind::kRightBrace)) return {};
  }
}

Result<void> Grammar::Matcher(VectorSelector& selector) {
  if (!Is(TokenKind::kIdentifier)) return Unexpected("label matching", "identifier or \"}\"");
  const Token name = token_;
  Advance();
  LabelMatcher matcher{LabelMatcher::Op::kEqual, std::string(name.text), {}};
  switch (token_.kind) {
    case TokenKind::kEqual:
      break;
    case TokenKind::kNotEqual:
      matcher.op = LabelMatcher::Op::kNotEqual;
      break;
    case TokenKind::kEqualRegex:
      matcher.op = LabelMatcher::Op::kMatches;
      break;
    case TokenKind::kNotEqualRegex:
      matcher.op = LabelMatcher::Op::kNotMatches;
      break;
    default:
      return Unexpected("label matching", "label matching operator");
  }
  Advance();
  if (!Is(TokenKind::kString)) return Unexpected("label matching", "string");
  auto value = Unquote(token_.text);
  if (!value) return FailAt(token_.begin, value.error().message);
  matcher.value = std::move(*value);
  if (matcher.op == LabelMatcher::Op::kMatches || matcher.op == LabelMatcher::Op::kNotMatches) {
    if (auto checked = CheckRegex(matcher.value); !checked) {
      return FailAt(name.begin, checked.error().message);
    }
  }
  selector.matchers.push_back(std::move(matcher));
  Advance();
  return {};
}

Result<std::vector<std::string>> Grammar::GroupingLabels() {
  std::vector<std::string> labels;
  if (!Is(TokenKind::kLeftParen)) return Unexpected("grouping opts", "\"(\"");
  Advance();
  if (Take(TokenKind::kRightParen)) return labels;
  while (true) {
    if (!IsWord(token_.kind) || !IsLabelName(token_.text))
      return Unexpected("grouping opts", "label");
    labels.emplace_back(token_.text);
    Advance();
    if (Take(TokenKind::kRightParen)) return labels;
    if (!Take(TokenKind::kComma)) return Unexpected("grouping opts", "\",\" or \")\"");
    if (Take(TokenKind::kRightParen)) return labels;
  }
}

}  // namespace faultline::promql
