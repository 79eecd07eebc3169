#include "aggregator/query/logql_scanner.h"

#include "aggregator/query/promql_parser.h"

namespace faultline::logql {
namespace {

bool IsWordCharacter(char c) {
  return c == '_' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

}  // namespace

size_t Scanner::position() {
  while (position_ < query_.size()) {
    const char c = query_[position_];
    if (c == '#') {
      while (position_ < query_.size() && query_[position_] != '\n') ++position_;
    } else if (c == ' ' || c == '\t' || c == '\n' || c == '\r') {
      ++position_;
    } else {
      break;
    }
  }
  return position_;
}

bool Scanner::Sees(std::string_view text) {
  const std::string_view rest = query_.substr(position());
  if (!rest.starts_with(text)) return false;
  return !IsWordCharacter(text.back()) || rest.size() == text.size() ||
         !IsWordCharacter(rest[text.size()]);
}

bool Scanner::Take(std::string_view text) {
  if (!Sees(text)) return false;
  position_ += text.size();
  return true;
}

std::optional<std::string_view> Scanner::TakeWord() {
  const size_t begin = position();
  size_t end = begin;
  while (end < query_.size() && IsWordCharacter(query_[end])) ++end;
  const std::string_view word = query_.substr(begin, end - begin);
  if (!promql::IsLabelName(word)) return std::nullopt;
  position_ = end;
  return word;
}

std::optional<std::string_view> Scanner::TakeQuantity() {
  const size_t begin = position();
  size_t end = begin;
  if (end < query_.size() && (query_[end] == '-' || query_[end] == '+')) ++end;
  const size_t digits = end;
  while (end < query_.size() && (IsWordCharacter(query_[end]) || query_[end] == '.')) ++end;
  if (end == digits || query_[digits] < '0' || query_[digits] > '9') return std::nullopt;
  position_ = end;
  return query_.substr(begin, end - begin);
}

Result<std::optional<std::string>> Scanner::TakeString() {
  const size_t begin = position();
  if (begin == query_.size()) return std::nullopt;
  const char quote = query_[begin];
  if (quote != '"' && quote != '`' && quote != '\'') return std::nullopt;
  size_t end = begin + 1;
  while (end < query_.size() && query_[end] != quote)
    end += quote != '`' && query_[end] == '\\' ? 2 : 1;
  if (end >= query_.size()) return FailAt(begin, "unterminated quoted string");
  auto text = promql::Unquote(query_.substr(begin, end + 1 - begin));
  if (!text) return FailAt(begin, text.error().message);
  position_ = end + 1;
  return std::optional<std::string>(std::move(*text));
}

Result<int64_t> Scanner::TakeDurationMs() {
  const size_t begin = position();
  const auto text = TakeQuantity();
  if (!text) return Unexpected("duration");
  const auto duration = promql::ParsePrometheusDuration(*text);
  if (!duration) return FailAt(begin, duration.error().message);
  if (*duration == 0) return FailAt(begin, "duration must be greater than 0");
  return *duration;
}

std::unexpected<Error> Scanner::Fail(std::string_view message) {
  return FailAt(position(), message);
}

std::unexpected<Error> Scanner::Unexpected(std::string_view expected) {
  const std::string_view rest = query_.substr(position());
  const std::string seen = rest.empty() ? "end of input" : promql::Quote(rest.substr(0, 1));
  return FailAt(position(), fmt::format("unexpected {}, expected {}", seen, expected));
}

std::unexpected<Error> Scanner::FailAt(size_t position, std::string_view message) const {
  return std::unexpected(
      Error{ErrorCode::kInvalidArgument, promql::ParseErrorText(query_, position, message)});
}

}  // namespace faultline::logql
