#include "aggregator/query/promql_parser.h"

#include <re2/re2.h>

#include <charconv>
#include <cmath>
#include <cstdlib>

#include "aggregator/query/promql_grammar.h"
#include "aggregator/store/value_test.h"
#include "common/text.h"

namespace faultline::promql {
namespace {

bool IsAlpha(char c) { return c == '_' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

void AppendUtf8(std::string& out, uint32_t point) {
  if (point < 0x80) {
    out += static_cast<char>(point);
  } else if (point < 0x800) {
    out += static_cast<char>(0xC0 | (point >> 6));
    out += static_cast<char>(0x80 | (point & 0x3F));
  } else if (point < 0x10000) {
    out += static_cast<char>(0xE0 | (point >> 12));
    out += static_cast<char>(0x80 | ((point >> 6) & 0x3F));
    out += static_cast<char>(0x80 | (point & 0x3F));
  } else {
    out += static_cast<char>(0xF0 | (point >> 18));
    out += static_cast<char>(0x80 | ((point >> 12) & 0x3F));
    out += static_cast<char>(0x80 | ((point >> 6) & 0x3F));
    out += static_cast<char>(0x80 | (point & 0x3F));
  }
}

// %#U of Go: U+0071 'q'
std::string CodePointText(char c) {
  return fmt::format("U+{:04X} '{}'", static_cast<unsigned char>(c), c);
}

// One escape after the backslash at text[at]; moves `at` behind it. Returns what is wrong, or
// nothing.
std::string AppendEscape(std::string& out, std::string_view text, size_t& at, char quote) {
  static constexpr std::string_view kUnterminated = "escape sequence not terminated";
  static constexpr std::string_view kNames = "abfnrtv\\";
  static constexpr std::string_view kBytes = "\a\b\f\n\r\t\v\\";
  if (at >= text.size()) return std::string(kUnterminated);
  const char c = text[at++];
  if (const size_t i = kNames.find(c); i != std::string_view::npos || c == quote) {
    out += c == quote ? c : kBytes[i];
    return {};
  }
  size_t digits = 0;
  uint32_t base = 16;
  if (c == 'x') digits = 2;
  if (c == 'u') digits = 4;
  if (c == 'U') digits = 8;
  if (c >= '0' && c <= '7') {
    digits = 3;
    base = 8;
    --at;
  }
  if (digits == 0) return "unknown escape sequence " + CodePointText(c);
  uint64_t value = 0;
  for (; digits > 0; --digits, ++at) {
    if (at >= text.size()) return std::string(kUnterminated);
    const auto digit = ParseUint(text.substr(at, 1), 16);
    if (!digit || *digit >= base)
      return fmt::format("illegal character {} in escape sequence", CodePointText(text[at]));
    value = value * base + *digit;
  }
  const bool is_byte = c != 'u' && c != 'U';
  if (value > (is_byte ? 255u : 0x10FFFFu) || (value >= 0xD800 && value <= 0xDFFF)) {
    return "escape sequence is an invalid Unicode code point";
  }
  if (is_byte) {
    out += static_cast<char>(value);
  } else {
    AppendUtf8(out, static_cast<uint32_t>(value));
  }
  return {};
}

}  // namespace

std::string_view TypeName(ValueType type) {
  switch (type) {
    case ValueType::kScalar:
      return "scalar";
    case ValueType::kVector:
      return "vector";
    case ValueType::kMatrix:
      return "matrix";
    case ValueType::kString:
      return "string";
    case ValueType::kNone:
      break;
  }
  return "none";
}

std::string_view DocumentedType(ValueType type) {
  if (type == ValueType::kVector) return "instant vector";
  if (type == ValueType::kMatrix) return "range vector";
  return TypeName(type);
}

const Expr& Unwrapped(const Expr& expr) {
  const Expr* inner = &expr;
  while (inner->kind == ExprKind::kParen) inner = static_cast<const Paren*>(inner)->inner.get();
  return *inner;
}

std::string ParseErrorText(std::string_view query, size_t position, std::string_view message) {
  size_t line = 1;
  size_t line_begin = 0;
  for (size_t i = 0; i < position && i < query.size(); ++i) {
    if (query[i] == '\n') {
      ++line;
      line_begin = i + 1;
    }
  }
  return fmt::format("{}:{}: parse error: {}", line, position - line_begin + 1, message);
}

Result<int64_t> ParsePrometheusDuration(std::string_view text) {
  if (text == "0") return 0;
  if (text.empty()) return Fail(ErrorCode::kInvalidArgument, "empty duration string");
  static constexpr std::pair<std::string_view, int64_t> kUnits[] = {{"y", 365ll * 86400 * 1000},
                                                                    {"w", 7ll * 86400 * 1000},
                                                                    {"d", 86400 * 1000},
                                                                    {"h", 3600 * 1000},
                                                                    {"m", 60 * 1000},
                                                                    {"s", 1000},
                                                                    {"ms", 1}};
  const auto bad = [&] {
    return Fail(ErrorCode::kInvalidArgument, "not a valid duration string: {}", Quote(text));
  };
  double total = 0;
  size_t unit = 0;
  std::string_view rest = text;
  while (!rest.empty()) {
    size_t digits = 0;
    while (digits < rest.size() && rest[digits] >= '0' && rest[digits] <= '9') ++digits;
    const auto number = ParseDouble(rest.substr(0, digits));
    if (!number) return bad();
    rest.remove_prefix(digits);
    const size_t letters = rest.starts_with("ms") ? 2 : 1;
    while (unit < std::size(kUnits) && kUnits[unit].first != rest.substr(0, letters)) ++unit;
    if (unit == std::size(kUnits)) return bad();
    total += *number * static_cast<double>(kUnits[unit++].second);
    rest.remove_prefix(letters);
  }
  if (total > 9223372036854.0) return Fail(ErrorCode::kInvalidArgument, "duration out of range");
  return static_cast<int64_t>(total);
}

Result<std::string> Unquote(std::string_view literal) {
  const auto bad = [&] {
    return Fail(ErrorCode::kInvalidArgument, "error unquoting string {}: invalid syntax",
                Quote(literal));
  };
  if (literal.size() < 2 || literal.front() != literal.back()) return bad();
  const char quote = literal.front();
  const std::string_view text = literal.substr(1, literal.size() - 2);
  if (quote == '`') return std::string(text);
  std::string out;
  out.reserve(text.size());
  for (size_t at = 0; at < text.size();) {
    const char c = text[at++];
    if (c == quote || c == '\n') return bad();
    if (c != '\\') {
      out += c;
    } else if (std::string wrong = AppendEscape(out, text, at, quote); !wrong.empty()) {
      return std::unexpected(Error{ErrorCode::kInvalidArgument, std::move(wrong)});
    }
  }
  return out;
}

Result<void> CheckRegex(const std::string& pattern) {
  const auto test = ValueTest::Of({.op = LabelMatcher::Op::kMatches, .name = {}, .value = pattern});
  if (test) return {};
  if (test.error().code == ErrorCode::kResourceExhausted) return std::unexpected(test.error());
  const std::string anchored = "^(?:" + pattern + ")$";
  RE2::Options options;
  options.set_log_errors(false);
  const RE2 regex(anchored, options);
  if (regex.ok()) return {};
  std::string reason = regex.error();
  switch (regex.error_code()) {
    case RE2::ErrorMissingBracket:
      reason = "missing closing ]: `" + regex.error_arg() + "`";
      break;
    case RE2::ErrorMissingParen:
      reason = "missing closing ): `" + anchored + "`";
      break;
    case RE2::ErrorUnexpectedParen:
      reason = "unexpected ): `" + anchored + "`";
      break;
    case RE2::ErrorRepeatArgument:
      reason = "missing argument to repetition operator: `" + regex.error_arg() + "`";
      break;
    case RE2::ErrorBadEscape:
      reason = "invalid escape sequence: `" + regex.error_arg() + "`";
      break;
    default:
      break;
  }
  return Fail(ErrorCode::kInvalidArgument, "error parsing regexp: {}", reason);
}

bool IsLabelName(std::string_view name) {
  if (name.empty() || !IsAlpha(name[0])) return false;
  for (const char c : name) {
    if (!IsAlpha(c) && !(c >= '0' && c <= '9')) return false;
  }
  return true;
}

Result<ExprPtr> Parse(std::string_view query) {
  Grammar grammar(query);
  FAULTLINE_ASSIGN(ExprPtr expr, grammar.ParseAll());
  FAULTLINE_TRY(CheckTypes(query, *expr));
  return expr;
}

Result<std::vector<LabelMatcher>> ParseSelector(std::string_view query) {
  Grammar grammar(query);
  FAULTLINE_ASSIGN(std::unique_ptr<VectorSelector> selector, grammar.ParseSelectorOnly());
  FAULTLINE_TRY(CheckTypes(query, *selector));
  return std::move(selector->matchers);
}

}  // namespace faultline::promql
