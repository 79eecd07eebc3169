#include "common/text.h"

#include <cstring>

#include <fmt/format.h>

#include <cmath>
#include <ctime>

namespace faultline {
namespace {

bool IsBlank(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

struct Unit {
  std::string_view name;
  double factor;
};

// Days since 1970-01-01 of a civil date; Howard Hinnant, "chrono-compatible low-level date algorithms".
int64_t DaysFromCivil(int64_t y, int64_t m, int64_t d) {
  y -= m <= 2;
  const int64_t era = (y >= 0 ? y : y - 399) / 400;
  const int64_t yoe = y - era * 400;
  const int64_t doy = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
  const int64_t doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
  return era * 146097 + doe - 719468;
}

// Length of the valid UTF-8 sequence at the start of `text`, 0 if there is none.
size_t Utf8SequenceLength(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char b0 = byte(0);
  if (b0 < 0x80) return 1;
  size_t length = 0;
  uint32_t point = 0;
  if (b0 >= 0xC2 && b0 <= 0xDF) {
    length = 2;
    point = b0 & 0x1Fu;
  } else if (b0 >= 0xE0 && b0 <= 0xEF) {
    length = 3;
    point = b0 & 0x0Fu;
  } else if (b0 >= 0xF0 && b0 <= 0xF4) {
    length = 4;
    point = b0 & 0x07u;
  } else {
    return 0;
  }
  if (text.size() < length) return 0;
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
    point = (point << 6) | (byte(i) & 0x3Fu);
  }
  if (length == 3 && (point < 0x800 || (point >= 0xD800 && point <= 0xDFFF))) return 0;
  if (length == 4 && (point < 0x10000 || point > 0x10FFFF)) return 0;
  return length;
}

}  // namespace

std::string_view Trim(std::string_view text) {
  while (!text.empty() && IsBlank(text.front())) text.remove_prefix(1);
  while (!text.empty() && IsBlank(text.back())) text.remove_suffix(1);
  return text;
}

std::vector<std::string_view> Split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  while (true) {
    const size_t at = text.find(separator);
    parts.push_back(text.substr(0, at));
    if (at == std::string_view::npos) return parts;
    text.remove_prefix(at + 1);
  }
}

std::string_view NextWord(std::string_view& text) {
  size_t begin = 0;
  while (begin < text.size() && (text[begin] == ' ' || text[begin] == '\t')) ++begin;
  size_t end = begin;
  while (end < text.size() && !IsBlank(text[end])) ++end;
  const std::string_view word = text.substr(begin, end - begin);
  text.remove_prefix(end);
  return word;
}

bool NextLine(std::string_view& text, std::string_view& line) {
  if (text.empty()) return false;
  const size_t at = text.find('\n');
  line = text.substr(0, at);
  text.remove_prefix(at == std::string_view::npos ? text.size() : at + 1);
  return true;
}

std::optional<int64_t> ParseInt(std::string_view text) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<uint64_t> ParseUint(std::string_view text, int base) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<double> ParseDouble(std::string_view text) {
  if (!text.empty() && text.front() == '+') text.remove_prefix(1);
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<int64_t> ParseDurationNs(std::string_view text) {
  static constexpr Unit kUnits[] = {{"ns", 1},      {"us", 1e3},        {"ms", 1e6},
                                    {"s", 1e9},     {"m", 60e9},        {"h", 3600e9},
                                    {"d", 86400e9}, {"w", 7 * 86400e9}, {"y", 365 * 86400e9}};
  if (text == "0") return 0;
  if (text.empty()) return std::nullopt;
  bool negative = false;
  if (text.front() == '-') {
    negative = true;
    text.remove_prefix(1);
  }
  double total = 0;
  if (text.empty()) return std::nullopt;
  while (!text.empty()) {
    size_t digits = 0;
    while (digits < text.size() && ((text[digits] >= '0' && text[digits] <= '9') || text[digits] == '.')) {
      ++digits;
    }
    const auto number = ParseDouble(text.substr(0, digits));
    if (!number) return std::nullopt;
    text.remove_prefix(digits);
    size_t letters = 0;
    while (letters < text.size() && text[letters] >= 'a' && text[letters] <= 'z') ++letters;
    const Unit* unit = nullptr;
    for (const Unit& candidate : kUnits) {
      if (candidate.name == text.substr(0, letters)) unit = &candidate;
    }
    if (unit == nullptr) return std::nullopt;
    total += *number * unit->factor;
    text.remove_prefix(letters);
  }
  if (!(total < 9.2e18)) return std::nullopt;
  const auto ns = static_cast<int64_t>(std::llround(total));
  return negative ? -ns : ns;
}

std::optional<uint64_t> ParseBytes(std::string_view text) {
  size_t digits = 0;
  while (digits < text.size() && ((text[digits] >= '0' && text[digits] <= '9') || text[digits] == '.')) {
    ++digits;
  }
  const auto number = ParseDouble(text.substr(0, digits));
  if (!number) return std::nullopt;
  static constexpr Unit kUnits[] = {
      {"", 1},           {"B", 1},          {"k", 1e3},         {"kB", 1e3},        {"KB", 1e3},
      {"K", 1024},       {"Ki", 1024},      {"KiB", 1024},      {"M", 1 << 20},     {"MB", 1e6},
      {"Mi", 1 << 20},   {"MiB", 1 << 20},  {"G", 1 << 30},     {"GB", 1e9},        {"Gi", 1 << 30},
      {"GiB", 1 << 30},  {"T", 1ull << 40}, {"TB", 1e12},       {"Ti", 1ull << 40}, {"TiB", 1ull << 40}};
  const std::string_view suffix = Trim(text.substr(digits));
  for (const Unit& unit : kUnits) {
    if (unit.name == suffix) {
      const double bytes = *number * unit.factor;
      if (!(bytes < 1.8e19)) return std::nullopt;
      return static_cast<uint64_t>(bytes);
    }
  }
  return std::nullopt;
}

std::string FormatDouble(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "+Inf" : "-Inf";
  if (value == std::floor(value) && std::abs(value) < 1e15) {
    return fmt::format("{}", static_cast<int64_t>(value));
  }
  return fmt::format("{}", value);
}

std::string FormatTime(int64_t unix_ns) {
  int64_t seconds = unix_ns / 1'000'000'000;
  int64_t fraction = unix_ns % 1'000'000'000;
  if (fraction < 0) {
    fraction += 1'000'000'000;
    --seconds;
  }
  const std::time_t t = seconds;
  std::tm tm{};
  gmtime_r(&t, &tm);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:09}Z", tm.tm_year + 1900, tm.tm_mon + 1,
                     tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, fraction);
}

std::optional<int64_t> ParseTime(std::string_view text) {
  const auto field = [&](size_t at, size_t length) -> std::optional<int64_t> {
    if (text.size() < at + length) return std::nullopt;
    for (size_t i = at; i < at + length; ++i) {
      if (text[i] < '0' || text[i] > '9') return std::nullopt;
    }
    return ParseInt(text.substr(at, length));
  };
  const auto year = field(0, 4), month = field(5, 2), day = field(8, 2);
  const auto hour = field(11, 2), minute = field(14, 2), second = field(17, 2);
  if (!year || !month || !day || !hour || !minute || !second) return std::nullopt;
  if (text[4] != '-' || text[7] != '-' || (text[10] != 'T' && text[10] != 't' && text[10] != ' ') ||
      text[13] != ':' || text[16] != ':') {
    return std::nullopt;
  }
  if (*month < 1 || *month > 12 || *day < 1 || *day > 31 || *hour > 23 || *minute > 59 || *second > 60) {
    return std::nullopt;
  }
  size_t at = 19;
  int64_t fraction_ns = 0;
  if (at < text.size() && text[at] == '.') {
    ++at;
    int64_t scale = 100'000'000;
    const size_t begin = at;
    for (; at < text.size() && text[at] >= '0' && text[at] <= '9'; ++at) {
      fraction_ns += (text[at] - '0') * scale;
      scale /= 10;
    }
    if (at == begin) return std::nullopt;
  }
  int64_t offset_s = 0;
  if (at < text.size() && (text[at] == 'Z' || text[at] == 'z')) {
    ++at;
  } else if (at < text.size() && (text[at] == '+' || text[at] == '-')) {
    const auto hours = field(at + 1, 2), minutes = field(at + 4, 2);
    if (!hours || !minutes || text[at + 3] != ':') return std::nullopt;
    offset_s = (*hours * 3600 + *minutes * 60) * (text[at] == '-' ? -1 : 1);
    at += 6;
  } else {
    return std::nullopt;
  }
  if (at != text.size()) return std::nullopt;
  if (*year < 1678 || *year > 2261) return std::nullopt;  // what int64 nanoseconds can say
  const int64_t seconds =
      DaysFromCivil(*year, *month, *day) * 86400 + *hour * 3600 + *minute * 60 + *second - offset_s;
  return seconds * 1'000'000'000 + fraction_ns;
}

bool GlobMatch(std::string_view pattern, std::string_view text) {
  size_t p = 0, t = 0, star = std::string_view::npos, mark = 0;
  // Whether the class at pattern[p] matches c; `next` is set behind it. A '[' without ']' is literal.
  const auto class_match = [&](char c, size_t& next) {
    size_t i = p + 1;
    bool negate = false, hit = false, first = true;
    if (i < pattern.size() && (pattern[i] == '!' || pattern[i] == '^')) {
      negate = true;
      ++i;
    }
    for (; i < pattern.size() && (first || pattern[i] != ']'); ++i, first = false) {
      if (i + 2 < pattern.size() && pattern[i + 1] == '-' && pattern[i + 2] != ']') {
        hit |= pattern[i] <= c && c <= pattern[i + 2];
        i += 2;
      } else {
        hit |= pattern[i] == c;
      }
    }
    if (i >= pattern.size()) {
      next = p + 1;
      return c == '[';
    }
    next = i + 1;
    return hit != negate;
  };
  while (t < text.size()) {
    size_t next = p + 1;
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      mark = t;
    } else if (p < pattern.size() &&
               (pattern[p] == '[' ? class_match(text[t], next)
                                  : pattern[p] == '?' || pattern[p] == text[t])) {
      p = next;
      ++t;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      t = ++mark;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

namespace {

// Nearly all text is plain: eight bytes at a time, up to the first that is not.
size_t PlainPrefix(std::string_view text) {
  size_t at = 0;
  uint64_t word = 0;
  for (; at + sizeof word <= text.size(); at += sizeof word) {
    std::memcpy(&word, text.data() + at, sizeof word);
    if ((word & 0x8080808080808080u) != 0) break;
  }
  while (at < text.size() && static_cast<unsigned char>(text[at]) < 0x80) ++at;
  return at;
}

}  // namespace

bool IsValidUtf8(std::string_view text) {
  while (true) {
    text.remove_prefix(PlainPrefix(text));
    if (text.empty()) return true;
    const size_t length = Utf8SequenceLength(text);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
}

std::string ReplaceInvalidUtf8(std::string_view text) {
  std::string result;
  result.reserve(text.size());
  while (!text.empty()) {
    const size_t length = Utf8SequenceLength(text);
    if (length == 0) {
      result += "\xEF\xBF\xBD";
      text.remove_prefix(1);
    } else {
      result += text.substr(0, length);
      text.remove_prefix(length);
    }
  }
  return result;
}

}  // namespace faultline
