// Cuts PromQL into tokens, one at a time and on demand, so that a parser of another language
// (LogQL) can take over in the middle and hand back. The rules are those of Prometheus 2.42: inside
// braces words are labels, inside brackets a number must be a duration. Keywords know no case. A
// token's text is a view into the query.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace faultline::promql {

enum class TokenKind : uint8_t {
  kEof,
  kError,
  kIdentifier,
  kMetricIdentifier,  // has a colon
  kString,
  kNumber,
  kDuration,
  kLeftParen,
  kRightParen,
  kLeftBrace,
  kRightBrace,
  kLeftBracket,
  kRightBracket,
  kComma,
  kColon,
  kEqual,  // =
  // Operators, kAt to kUnless.
  kAt,
  kEqualRegex,     // =~
  kNotEqualRegex,  // !~
  kAdd,
  kSub,
  kMul,
  kDiv,
  kMod,
  kPow,
  kAtan2,
  kEqualTo,  // ==
  kNotEqual,
  kLess,
  kLessOrEqual,
  kGreater,
  kGreaterOrEqual,
  kAnd,
  kOr,
  kUnless,
  // Aggregations, kAvg to kTopk.
  kAvg,
  kBottomk,
  kCount,
  kCountValues,
  kGroup,
  kMax,
  kMin,
  kQuantile,
  kStddev,
  kStdvar,
  kSum,
  kTopk,
  // Keywords, kBool to kWithout.
  kBool,
  kBy,
  kGroupLeft,
  kGroupRight,
  kIgnoring,
  kOffset,
  kOn,
  kWithout,
  // @ start(), @ end()
  kStart,
  kEnd,
};

constexpr bool IsBetween(TokenKind kind, TokenKind first, TokenKind last) {
  return kind >= first && kind <= last;
}
constexpr bool IsOperator(TokenKind k) { return IsBetween(k, TokenKind::kAt, TokenKind::kUnless); }
constexpr bool IsBinaryOperator(TokenKind k) {
  return IsBetween(k, TokenKind::kAdd, TokenKind::kUnless);
}
constexpr bool IsComparison(TokenKind k) {
  return IsBetween(k, TokenKind::kEqualTo, TokenKind::kGreaterOrEqual);
}
constexpr bool IsSetOperator(TokenKind k) {
  return IsBetween(k, TokenKind::kAnd, TokenKind::kUnless);
}
constexpr bool IsAggregator(TokenKind k) { return IsBetween(k, TokenKind::kAvg, TokenKind::kTopk); }
constexpr bool IsKeyword(TokenKind k) {
  return IsBetween(k, TokenKind::kBool, TokenKind::kWithout);
}
// Words that are tokens of their own but may stand where a label's or a metric's name stands.
constexpr bool IsWord(TokenKind k) {
  return k == TokenKind::kIdentifier || k == TokenKind::kMetricIdentifier ||
         IsBetween(k, TokenKind::kAnd, TokenKind::kEnd) || k == TokenKind::kAtan2;
}

struct Token {
  TokenKind kind = TokenKind::kEof;
  size_t begin = 0;
  size_t end = 0;
  std::string_view text;
  std::string error;  // of kError
};

// How an error message names the token: `identifier "foo"`, `<op:+>`, `end of input`.
std::string Describe(const Token& token);
// Go's %q of a text: in double quotes, escaped.
std::string Quote(std::string_view text);

class Lexer {
 public:
  explicit Lexer(std::string_view query) : query_(query) {}
  Token Next();
  std::string_view query() const { return query_; }
  // Continues at `position`, outside braces and brackets.
  void Seek(size_t position);
  size_t position() const { return position_; }

 private:
  int Peek(size_t ahead = 0) const;
  bool Accept(std::string_view set);
  void AcceptDigits(bool hexadecimal);
  void SkipBlanksAndComments();
  Token Emit(TokenKind kind);
  Token Failed(std::string message);
  Token InsideBraces();
  Token Statement();
  Token StatementRest(int c);
  Token String();
  Token RawString();
  Token NumberOrDuration();
  Token BracketDuration();
  Token Word();
  bool ScanNumber();
  bool ScanRestOfDuration();
  std::string QuotedCharacter(size_t at) const;

  std::string_view query_;
  size_t position_ = 0;
  size_t start_ = 0;
  int paren_depth_ = 0;
  bool brace_open_ = false;
  bool bracket_open_ = false;
  bool duration_next_ = false;
  bool colon_seen_ = false;
};

}  // namespace faultline::promql
