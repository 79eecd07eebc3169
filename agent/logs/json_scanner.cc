#include "agent/logs/json_scanner.h"

#include <optional>

#include "common/text.h"

namespace faultline {
namespace {

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

std::optional<uint32_t> Hex4(std::string_view text, size_t at) {
  if (text.size() < at + 4) return std::nullopt;
  const auto unit = ParseUint(text.substr(at, 4), 16);
  return unit ? std::optional(static_cast<uint32_t>(*unit)) : std::nullopt;
}

}  // namespace

bool JsonScanner::Take(char c) {
  SkipBlanks();
  if (at_ >= text_.size() || text_[at_] != c) return false;
  ++at_;
  return true;
}

bool JsonScanner::AtEnd() {
  SkipBlanks();
  return at_ == text_.size();
}

bool JsonScanner::NextIsString() {
  SkipBlanks();
  return at_ < text_.size() && text_[at_] == '"';
}

bool JsonScanner::TakeString(std::string& out) {
  out.clear();
  if (!Take('"')) return false;
  while (at_ < text_.size()) {
    const size_t plain = text_.find_first_of("\"\\", at_);
    if (plain == std::string_view::npos) return false;
    out += text_.substr(at_, plain - at_);
    at_ = plain + 1;
    if (text_[plain] == '"') return true;
    if (!TakeEscape(out)) return false;
  }
  return false;
}

bool JsonScanner::SkipValue() {
  size_t depth = 0;
  std::string ignored;
  do {
    SkipBlanks();
    if (at_ >= text_.size()) return false;
    const char c = text_[at_];
    if (c == '"') {
      if (!TakeString(ignored)) return false;
      continue;
    }
    if (depth == 0 && (c == ',' || c == '}')) return false;
    ++at_;
    if (c == '{' || c == '[') ++depth;
    if ((c == '}' || c == ']') && depth-- == 0) return false;
    if (depth == 0 && c != '}' && c != ']') SkipWord();
  } while (depth > 0);
  return true;
}

bool JsonScanner::TakeRaw(std::string_view& raw) {
  SkipBlanks();
  const size_t begin = at_;
  if (!SkipValue()) return false;
  raw = Trim(text_.substr(begin, at_ - begin));
  return true;
}

void JsonScanner::SkipBlanks() {
  while (at_ < text_.size() &&
         (text_[at_] == ' ' || text_[at_] == '\t' || text_[at_] == '\r' || text_[at_] == '\n')) {
    ++at_;
  }
}

void JsonScanner::SkipWord() {
  while (at_ < text_.size() && text_[at_] != ',' && text_[at_] != '}') ++at_;
}

bool JsonScanner::TakeEscape(std::string& out) {
  if (at_ >= text_.size()) return false;
  constexpr std::string_view kFrom = "\"\\/bfnrt";
  constexpr std::string_view kTo = "\"\\/\b\f\n\r\t";
  const char c = text_[at_++];
  if (const size_t plain = kFrom.find(c); plain != std::string_view::npos) {
    out += kTo[plain];
    return true;
  }
  if (c != 'u') return false;
  const auto unit = Hex4(text_, at_);
  if (!unit) return false;
  at_ += 4;
  uint32_t point = *unit;
  if (point >= 0xD800 && point < 0xDC00 && text_.substr(at_).starts_with("\\u")) {
    const auto low = Hex4(text_, at_ + 2);
    if (low && *low >= 0xDC00 && *low < 0xE000) {
      point = 0x10000 + ((point - 0xD800) << 10) + (*low - 0xDC00);
      at_ += 6;
    }
  }
  if (point >= 0xD800 && point < 0xE000) point = 0xFFFD;  // half a pair
  AppendUtf8(out, point);
  return true;
}

}  // namespace faultline
