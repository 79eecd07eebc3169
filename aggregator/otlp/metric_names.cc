#include "aggregator/otlp/metric_names.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <vector>

#include "common/text.h"

namespace faultline::otlp {
namespace {

struct UnitRow {
  std::string_view unit, word;
};

constexpr UnitRow kUnits[] = {
    {"d", "days"},         {"h", "hours"},        {"min", "minutes"},    {"s", "seconds"},
    {"ms", "milliseconds"}, {"us", "microseconds"}, {"ns", "nanoseconds"}, {"By", "bytes"},
    {"KiBy", "kibibytes"}, {"MiBy", "mebibytes"}, {"GiBy", "gibibytes"}, {"TiBy", "tibibytes"},
    {"KBy", "kilobytes"},  {"MBy", "megabytes"},  {"GBy", "gigabytes"},  {"TBy", "terabytes"},
    {"m", "meters"},       {"V", "volts"},        {"A", "amperes"},      {"J", "joules"},
    {"W", "watts"},        {"g", "grams"},        {"Cel", "celsius"},    {"Hz", "hertz"},
    {"1", ""},             {"%", "percent"},
};
constexpr UnitRow kPerUnits[] = {
    {"s", "second"}, {"m", "minute"}, {"h", "hour"},  {"d", "day"},
    {"w", "week"},   {"mo", "month"}, {"y", "year"},
};

// Runs of letters, digits and colons.
std::vector<std::string> Tokens(std::string_view text) {
  std::vector<std::string> tokens;
  bool open = false;
  for (const char c : text) {
    const bool keep = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                      c == ':';
    if (keep && !open) tokens.emplace_back();
    if (keep) tokens.back() += c;
    open = keep;
  }
  return tokens;
}

template <size_t N>
std::string WordOf(const UnitRow (&rows)[N], std::string_view unit) {
  unit = Trim(unit);
  if (unit.find('{') != std::string_view::npos) return {};
  for (const UnitRow& row : rows) {
    if (row.unit == unit) return std::string(row.word);
  }
  return fmt::format("{}", fmt::join(Tokens(unit), "_"));
}

}  // namespace

std::string MetricNameOf(std::string_view name, std::string_view unit, NameKind kind) {
  std::vector<std::string> tokens = Tokens(name);
  if (tokens.empty()) return {};
  const auto has = [&](std::string_view word) {
    return std::ranges::find(tokens, word) != tokens.end();
  };
  const size_t slash = unit.find('/');
  const std::string main = WordOf(kUnits, unit.substr(0, slash));
  const std::string per =
      slash == std::string_view::npos ? "" : WordOf(kPerUnits, unit.substr(slash + 1));
  if (!main.empty() && !has(main)) tokens.push_back(main);
  if (!per.empty() && !has(per)) {
    if (tokens.back() != "per") tokens.emplace_back("per");
    tokens.push_back(per);
  }
  if (kind == NameKind::kCounter) {
    std::erase(tokens, "total");
    tokens.emplace_back("total");
  } else if (kind == NameKind::kGauge && unit == "1") {
    std::erase(tokens, "ratio");
    tokens.emplace_back("ratio");
  }
  std::string text = fmt::format("{}", fmt::join(tokens, "_"));
  if (text[0] >= '0' && text[0] <= '9') text.insert(0, "_");
  return text;
}

}  // namespace faultline::otlp
