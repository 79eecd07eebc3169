#include "agent/faults/fault_parameters.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>

#include "common/text.h"

namespace faultline {
namespace {

std::string Lower(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return lower;
}

std::string_view KindName(ParameterKind kind) {
  switch (kind) {
    case ParameterKind::kText:
      return "text";
    case ParameterKind::kInteger:
      return "integer";
    case ParameterKind::kNumber:
      return "number";
    case ParameterKind::kPercent:
      return "percent";
    case ParameterKind::kDuration:
      return "duration";
    case ParameterKind::kBytes:
      return "bytes";
    case ParameterKind::kSize:
      return "bytes or percent";
    case ParameterKind::kRate:
      return "rate";
    case ParameterKind::kBool:
      return "true or false";
    case ParameterKind::kChoice:
      return "choice";
    case ParameterKind::kList:
      return "list";
  }
  return "";
}

bool IsChoice(std::string_view choices, std::string_view text) {
  while (!choices.empty()) {
    const std::string_view word = NextWord(choices);
    if (!word.empty() && word == text) return true;
  }
  return false;
}

// The number that the bounds are about; nullopt when the text is not of that kind. Kinds without a
// magnitude give 0.
std::optional<double> Magnitude(const ParameterRow& row, std::string_view text) {
  const auto as_double = [](auto value) -> std::optional<double> {
    if (!value) return std::nullopt;
    return static_cast<double>(*value);
  };
  switch (row.kind) {
    case ParameterKind::kInteger:
      return as_double(ParseInt(text));
    case ParameterKind::kNumber: {
      const auto value = ParseDouble(text);
      return value && std::isfinite(*value) ? value : std::nullopt;
    }
    case ParameterKind::kPercent:
      return ParsePercent(text);
    case ParameterKind::kDuration:
      return as_double(ParseSignedDurationNs(text));
    case ParameterKind::kBytes:
      return as_double(ParseBytes(text));
    case ParameterKind::kSize: {
      const auto size = ParseSize(text);
      if (!size) return std::nullopt;
      return size->percent ? *size->percent : static_cast<double>(size->bytes);
    }
    case ParameterKind::kRate:
      return ParseRateBytesPerS(text);
    case ParameterKind::kBool:
      return text == "true" || text == "false" ? std::optional(0.0) : std::nullopt;
    case ParameterKind::kChoice:
      return IsChoice(row.choices, text) ? std::optional(0.0) : std::nullopt;
    case ParameterKind::kList:
      return ParseList(text) ? std::optional(0.0) : std::nullopt;
    case ParameterKind::kText:
      return text.find('\0') == std::string_view::npos ? std::optional(0.0) : std::nullopt;
  }
  return std::nullopt;
}

bool HasMagnitude(ParameterKind kind) {
  return kind != ParameterKind::kText && kind != ParameterKind::kBool &&
         kind != ParameterKind::kChoice && kind != ParameterKind::kList;
}

Result<void> CheckOne(const ParameterRow& row, std::string_view text) {
  const auto magnitude = Magnitude(row, text);
  const bool in_bounds =
      magnitude && (!HasMagnitude(row.kind) || (*magnitude >= row.min && *magnitude <= row.max));
  if (in_bounds) return {};
  return Fail(ErrorCode::kInvalidArgument, "parameters.{}: '{}' is not {}", row.name, text,
              DescribeParameter(row));
}

}  // namespace

std::optional<double> ParsePercent(std::string_view text) {
  if (text.ends_with('%')) text.remove_suffix(1);
  const auto value = ParseDouble(text);
  if (!value || !(*value >= 0 && *value <= 100)) return std::nullopt;
  return value;
}

std::optional<ParsedSize> ParseSize(std::string_view text) {
  ParsedSize size;
  if (text.ends_with('%')) {
    size.percent = ParsePercent(text);
    if (!size.percent) return std::nullopt;
    return size;
  }
  const auto bytes = ParseBytes(text);
  if (!bytes) return std::nullopt;
  size.bytes = *bytes;
  return size;
}

std::optional<int64_t> ParseSignedDurationNs(std::string_view text) {
  const bool negative = text.starts_with('-');
  if (negative || text.starts_with('+')) text.remove_prefix(1);
  if (text == "0") return 0;
  // Go allows a fraction in front of any unit.
  int64_t total = 0;
  if (text.empty()) return std::nullopt;
  while (!text.empty()) {
    size_t digits = 0;
    while (digits < text.size() &&
           (std::isdigit(static_cast<unsigned char>(text[digits])) != 0 || text[digits] == '.')) {
      ++digits;
    }
    size_t unit = digits;
    while (unit < text.size() && std::isdigit(static_cast<unsigned char>(text[unit])) == 0 &&
           text[unit] != '.') {
      ++unit;
    }
    const auto number = ParseDouble(text.substr(0, digits));
    const auto one_ns = ParseDurationNs("1" + std::string(text.substr(digits, unit - digits)));
    if (digits == 0 || unit == digits || !number || !one_ns) return std::nullopt;
    const double part = *number * static_cast<double>(*one_ns);
    if (part > 9e18 || total > INT64_MAX - static_cast<int64_t>(part)) return std::nullopt;
    total += static_cast<int64_t>(std::llround(part));
    text.remove_prefix(unit);
  }
  return negative ? -total : total;
}

std::optional<double> ParseRateBytesPerS(std::string_view text) {
  size_t digits = 0;
  while (digits < text.size() &&
         (std::isdigit(static_cast<unsigned char>(text[digits])) != 0 || text[digits] == '.')) {
    ++digits;
  }
  const auto number = ParseDouble(text.substr(0, digits));
  if (digits == 0 || !number) return std::nullopt;
  std::string unit = Lower(Trim(text.substr(digits)));
  double scale = 1.0 / 8;
  if (unit.ends_with("bps")) {
    scale = 1;
    unit.resize(unit.size() - 3);
  } else if (unit.ends_with("bit")) {
    unit.resize(unit.size() - 3);
  } else if (!unit.empty()) {
    return std::nullopt;
  }
  static constexpr std::array<std::pair<std::string_view, double>, 9> kPrefixes = {
      {{"", 1},
       {"k", 1e3},
       {"m", 1e6},
       {"g", 1e9},
       {"t", 1e12},
       {"ki", 1024.0},
       {"mi", 1048576.0},
       {"gi", 1073741824.0},
       {"ti", 1099511627776.0}}};
  for (const auto& [prefix, factor] : kPrefixes) {
    if (unit == prefix) return *number * factor * scale;
  }
  return std::nullopt;
}

std::optional<std::vector<std::string>> ParseList(std::string_view text) {
  std::vector<std::string> items;
  text = Trim(text);
  if (text.find('\0') != std::string_view::npos) return std::nullopt;
  if (!text.starts_with('[')) {
    if (text.empty()) return items;
    for (const std::string_view item : Split(text, ',')) items.emplace_back(Trim(item));
    return items;
  }
  if (!text.ends_with(']')) return std::nullopt;
  text = Trim(text.substr(1, text.size() - 2));
  while (!text.empty()) {
    if (text.front() != '"') return std::nullopt;
    std::string item;
    size_t i = 1;
    for (; i < text.size() && text[i] != '"'; ++i) {
      const bool escaped = text[i] == '\\' && i + 1 < text.size();
      if (escaped) ++i;
      const size_t control =
          escaped ? std::string_view("ntrbf").find(text[i]) : std::string_view::npos;
      item.push_back(control == std::string_view::npos ? text[i] : "\n\t\r\b\f"[control]);
    }
    if (i >= text.size()) return std::nullopt;
    items.push_back(std::move(item));
    text = Trim(text.substr(i + 1));
    if (text.empty()) break;
    if (text.front() != ',') return std::nullopt;
    text = Trim(text.substr(1));
    if (text.empty()) return std::nullopt;
  }
  return items;
}

Result<ParameterTexts> AcceptParameters(std::span<const ParameterRow> rows,
                                       const ParameterTexts& given, std::string_view fault) {
  for (const auto& [name, text] : given) {
    const auto row = std::find_if(rows.begin(), rows.end(),
                                  [&](const ParameterRow& r) { return r.name == name; });
    if (row == rows.end()) {
      std::string known;
      for (const ParameterRow& r : rows) known += (known.empty() ? "" : ", ") + std::string(r.name);
      return Fail(ErrorCode::kInvalidArgument, "parameters.{}: {} knows {}", name, fault,
                  known.empty() ? "no parameters" : known);
    }
    FAULTLINE_TRY(CheckOne(*row, text));
  }
  ParameterTexts all = given;
  for (const ParameterRow& row : rows) {
    if (all.contains(std::string(row.name))) continue;
    if (row.required)
      return Fail(ErrorCode::kInvalidArgument, "parameters.{}: {} needs it", row.name, fault);
    if (!row.fallback.empty()) all.emplace(row.name, row.fallback);
  }
  return all;
}

std::vector<std::string> BadValues(const ParameterRow& row) {
  std::vector<std::string> bad;
  switch (row.kind) {
    case ParameterKind::kText:
      bad = {std::string("a\0b", 3)};
      break;
    case ParameterKind::kInteger:
      bad = {"many", "1.5", ""};
      break;
    case ParameterKind::kNumber:
      bad = {"many", "inf", ""};
      break;
    case ParameterKind::kPercent:
      bad = {"-1", "101", "half", ""};
      break;
    case ParameterKind::kDuration:
      bad = {"10", "soon", "1parsec", ""};
      break;
    case ParameterKind::kBytes:
      bad = {"-1", "big", "5%", ""};
      break;
    case ParameterKind::kSize:
      bad = {"-1", "big", "101%", ""};
      break;
    case ParameterKind::kRate:
      bad = {"fast", "1mb", "-1kbit", ""};
      break;
    case ParameterKind::kBool:
      bad = {"yes", "1", ""};
      break;
    case ParameterKind::kChoice:
      bad = {"no-such-choice", ""};
      break;
    case ParameterKind::kList:
      bad = {"[\"a\"", "[1]"};
      break;
  }
  if (!HasMagnitude(row.kind) || row.kind == ParameterKind::kPercent) return bad;
  const auto whole = [&](double value) {
    if (row.kind == ParameterKind::kDuration) return fmt::format("{}ns", std::llround(value));
    if (row.kind == ParameterKind::kRate) return fmt::format("{}bps", std::llround(value));
    return fmt::format("{}", std::llround(value));
  };
  if (std::isfinite(row.min)) bad.push_back(whole(row.min - 1));
  if (std::isfinite(row.max) && row.kind != ParameterKind::kSize) bad.push_back(whole(row.max + 1));
  return bad;
}

std::string DescribeParameter(const ParameterRow& row) {
  std::string text(row.kind == ParameterKind::kChoice ? "one of: " + std::string(row.choices)
                                                      : std::string(KindName(row.kind)));
  const auto bound = [&](double value) {
    return row.kind == ParameterKind::kDuration ? fmt::format("{}ms", value / 1e6)
                                                : FormatDouble(value);
  };
  if (std::isfinite(row.min)) text += ", at least " + bound(row.min);
  if (std::isfinite(row.max)) text += ", at most " + bound(row.max);
  return text;
}

}  // namespace faultline
