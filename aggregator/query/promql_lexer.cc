#include "aggregator/query/promql_lexer.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "common/text.h"

namespace faultline::promql {
namespace {

struct KeywordRow {
  std::string_view word;
  TokenKind kind;
};

constexpr KeywordRow kKeywords[] = {
    {"and", TokenKind::kAnd},
    {"or", TokenKind::kOr},
    {"unless", TokenKind::kUnless},
    {"atan2", TokenKind::kAtan2},
    {"sum", TokenKind::kSum},
    {"avg", TokenKind::kAvg},
    {"count", TokenKind::kCount},
    {"min", TokenKind::kMin},
    {"max", TokenKind::kMax},
    {"group", TokenKind::kGroup},
    {"stddev", TokenKind::kStddev},
    {"stdvar", TokenKind::kStdvar},
    {"topk", TokenKind::kTopk},
    {"bottomk", TokenKind::kBottomk},
    {"count_values", TokenKind::kCountValues},
    {"quantile", TokenKind::kQuantile},
    {"offset", TokenKind::kOffset},
    {"by", TokenKind::kBy},
    {"without", TokenKind::kWithout},
    {"on", TokenKind::kOn},
    {"ignoring", TokenKind::kIgnoring},
    {"group_left", TokenKind::kGroupLeft},
    {"group_right", TokenKind::kGroupRight},
    {"bool", TokenKind::kBool},
    {"start", TokenKind::kStart},
    {"end", TokenKind::kEnd},
    {"inf", TokenKind::kNumber},
    {"nan", TokenKind::kNumber},
};

bool IsDigit(int c) { return c >= '0' && c <= '9'; }
bool IsAlpha(int c) { return c == '_' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool IsAlphaNumeric(int c) { return IsAlpha(c) || IsDigit(c); }
bool IsBlank(int c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

}  // namespace

std::string Quote(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    switch (c) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\t':
        out += "\\t";
        break;
      case '\r':
        out += "\\r";
        break;
      default:
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
          out += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
        } else {
          out += c;
        }
    }
  }
  return ReplaceInvalidUtf8(out) + "\"";
}

std::string Describe(const Token& token) {
  const auto quoted = [&] {
    return token.text.size() > 10 ? Quote(token.text.substr(0, 10)) + "..." : Quote(token.text);
  };
  switch (token.kind) {
    case TokenKind::kEof:
      return "end of input";
    case TokenKind::kError:
      return token.error;
    case TokenKind::kIdentifier:
      return "identifier " + Quote(token.text);
    case TokenKind::kMetricIdentifier:
      return "metric identifier " + Quote(token.text);
    case TokenKind::kString:
      return "string " + quoted();
    case TokenKind::kNumber:
      return "number " + quoted();
    case TokenKind::kDuration:
      return "duration " + quoted();
    default:
      break;
  }
  if (IsKeyword(token.kind)) return fmt::format("<{}>", token.text);
  if (IsOperator(token.kind)) return fmt::format("<op:{}>", token.text);
  if (IsAggregator(token.kind)) return fmt::format("<aggr:{}>", token.text);
  return quoted();
}

void Lexer::Seek(size_t position) {
  position_ = position;
  brace_open_ = bracket_open_ = duration_next_ = colon_seen_ = false;
}

int Lexer::Peek(size_t ahead) const {
  return position_ + ahead < query_.size() ? static_cast<unsigned char>(query_[position_ + ahead])
                                           : -1;
}

bool Lexer::Accept(std::string_view set) {
  const int c = Peek();
  if (c < 0 || set.find(static_cast<char>(c)) == std::string_view::npos) return false;
  ++position_;
  return true;
}

void Lexer::AcceptDigits(bool hexadecimal) {
  while (Accept(hexadecimal ? "0123456789abcdefABCDEF" : "0123456789")) {
  }
}

Token Lexer::Emit(TokenKind kind) {
  return Token{kind, start_, position_, query_.substr(start_, position_ - start_), {}};
}

Token Lexer::Failed(std::string message) {
  return Token{TokenKind::kError, start_, query_.size(), {}, std::move(message)};
}

// Go's %q of the character at that place.
std::string Lexer::QuotedCharacter(size_t at) const {
  if (at >= query_.size()) return "'\\x00'";
  size_t length = 1;
  while (at + length < query_.size() &&
         (static_cast<unsigned char>(query_[at + length]) & 0xC0) == 0x80 && length < 4) {
    ++length;
  }
  std::string quoted = Quote(query_.substr(at, length));
  if (quoted == "\"\\\"\"") return "'\"'";
  if (query_[at] == '\'') return "'\\''";
  quoted.front() = quoted.back() = '\'';
  return quoted;
}

void Lexer::SkipBlanksAndComments() {
  while (position_ < query_.size()) {
    if (IsBlank(Peek())) {
      ++position_;
    } else if (Peek() == '#') {
      while (position_ < query_.size() && Peek() != '\n' && Peek() != '\r') ++position_;
    } else {
      return;
    }
  }
}

Token Lexer::Next() {
  if (duration_next_) {
    duration_next_ = false;
    while (IsBlank(Peek())) ++position_;
    start_ = position_;
    return BracketDuration();
  }
  SkipBlanksAndComments();
  start_ = position_;
  return brace_open_ ? InsideBraces() : Statement();
}

Token Lexer::InsideBraces() {
  const int c = Peek();
  if (c < 0) return Failed("unexpected end of input inside braces");
  if (IsAlpha(c)) {
    while (IsAlphaNumeric(Peek())) ++position_;
    return Emit(TokenKind::kIdentifier);
  }
  if (c == '"' || c == '\'') return String();
  if (c == '`') return RawString();
  ++position_;
  switch (c) {
    case ',':
      return Emit(TokenKind::kComma);
    case '=':
      return Emit(Accept("~") ? TokenKind::kEqualRegex : TokenKind::kEqual);
    case '!':
      if (Accept("~")) return Emit(TokenKind::kNotEqualRegex);
      if (Accept("=")) return Emit(TokenKind::kNotEqual);
      return Failed("unexpected character after '!' inside braces: " + QuotedCharacter(position_));
    case '{':
      return Failed("unexpected left brace '{'");
    case '}':
      brace_open_ = false;
      return Emit(TokenKind::kRightBrace);
    default:
      return Failed("unexpected character inside braces: " + QuotedCharacter(start_));
  }
}

Token Lexer::Statement() {
  const int c = Peek();
  if (c < 0) {
    if (paren_depth_ > 0) return Failed("unclosed left parenthesis");
    if (bracket_open_) return Failed("unclosed left bracket");
    return Emit(TokenKind::kEof);
  }
  if (IsDigit(c) || (c == '.' && IsDigit(Peek(1)))) return NumberOrDuration();
  if (c == '"' || c == '\'') return String();
  if (c == '`') return RawString();
  if (IsAlpha(c) || c == ':') {
    if (!bracket_open_) return Word();
    ++position_;
    if (colon_seen_) return Failed("unexpected colon " + QuotedCharacter(start_));
    colon_seen_ = true;
    return Emit(TokenKind::kColon);
  }
  ++position_;
  return StatementRest(c);
}

Token Lexer::StatementRest(int c) {
  switch (c) {
    case ',':
      return Emit(TokenKind::kComma);
    case '*':
      return Emit(TokenKind::kMul);
    case '/':
      return Emit(TokenKind::kDiv);
    case '%':
      return Emit(TokenKind::kMod);
    case '+':
      return Emit(TokenKind::kAdd);
    case '-':
      return Emit(TokenKind::kSub);
    case '^':
      return Emit(TokenKind::kPow);
    case '@':
      return Emit(TokenKind::kAt);
    case '<':
      return Emit(Accept("=") ? TokenKind::kLessOrEqual : TokenKind::kLess);
    case '>':
      return Emit(Accept("=") ? TokenKind::kGreaterOrEqual : TokenKind::kGreater);
    case '=':
      if (Accept("=")) return Emit(TokenKind::kEqualTo);
      if (Peek() == '~') return Failed("unexpected character after '=': '~'");
      return Emit(TokenKind::kEqual);
    case '!':
      if (Accept("=")) return Emit(TokenKind::kNotEqual);
      return Failed("unexpected character after '!': " + QuotedCharacter(position_));
    case '(':
      ++paren_depth_;
      return Emit(TokenKind::kLeftParen);
    case ')':
      if (--paren_depth_ < 0) {
        start_ = position_;
        return Failed("unexpected right parenthesis ')'");
      }
      return Emit(TokenKind::kRightParen);
    case '{':
      brace_open_ = true;
      return Emit(TokenKind::kLeftBrace);
    case '[':
      if (bracket_open_) return Failed("unexpected left bracket '['");
      colon_seen_ = false;
      bracket_open_ = duration_next_ = true;
      return Emit(TokenKind::kLeftBracket);
    case ']':
      if (!bracket_open_) return Failed("unexpected right bracket ']'");
      bracket_open_ = false;
      return Emit(TokenKind::kRightBracket);
    default:
      return Failed("unexpected character: " + QuotedCharacter(start_));
  }
}

Token Lexer::String() {
  const int quote = Peek();
  ++position_;
  while (true) {
    const int c = Peek();
    if (c == '\\') {
      position_ += 2;
      if (position_ > query_.size()) position_ = query_.size();
      continue;
    }
    if (c < 0 || c == '\n') return Failed("unterminated quoted string");
    ++position_;
    if (c == quote) return Emit(TokenKind::kString);
  }
}

Token Lexer::RawString() {
  const size_t end = query_.find('`', position_ + 1);
  if (end == std::string_view::npos) {
    position_ = query_.size();
    return Failed("unterminated raw string");
  }
  position_ = end + 1;
  return Emit(TokenKind::kString);
}

bool Lexer::ScanNumber() {
  bool hexadecimal = false;
  if (Accept("0") && Accept("xX")) hexadecimal = true;
  AcceptDigits(hexadecimal);
  if (Accept(".")) AcceptDigits(hexadecimal);
  if (Accept("eE")) {
    Accept("+-");
    AcceptDigits(false);
  }
  return !IsAlphaNumeric(Peek());
}

bool Lexer::ScanRestOfDuration() {
  if (!Accept("smhdwy")) return false;
  Accept("s");
  while (IsDigit(Peek())) {
    AcceptDigits(false);
    if (!Accept("smhdw")) return false;
    Accept("s");
  }
  if (!IsAlphaNumeric(Peek())) return true;
  ++position_;  // into the error message
  return false;
}

Token Lexer::NumberOrDuration() {
  if (ScanNumber()) return Emit(TokenKind::kNumber);
  if (ScanRestOfDuration()) return Emit(TokenKind::kDuration);
  return Failed("bad number or duration syntax: " +
                Quote(query_.substr(start_, position_ - start_)));
}

Token Lexer::BracketDuration() {
  if (ScanNumber()) return Failed("missing unit character in duration");
  if (ScanRestOfDuration()) return Emit(TokenKind::kDuration);
  return Failed("bad duration syntax: " + Quote(query_.substr(start_, position_ - start_)));
}

Token Lexer::Word() {
  while (IsAlphaNumeric(Peek()) || Peek() == ':') ++position_;
  const std::string_view text = query_.substr(start_, position_ - start_);
  std::string lower(text.substr(0, 16));
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  if (text.size() <= 16) {
    for (const KeywordRow& row : kKeywords) {
      if (row.word == lower) return Emit(row.kind);
    }
  }
  return Emit(text.find(':') == std::string_view::npos ? TokenKind::kIdentifier
                                                       : TokenKind::kMetricIdentifier);
}

}  // namespace faultline::promql
