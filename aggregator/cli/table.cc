#include "aggregator/cli/table.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace faultline::cli {
namespace {

size_t Characters(const std::string& text) {
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

void AppendRow(const std::vector<std::string>& row, const std::vector<size_t>& widths, std::string* out) {
  std::string line;
  for (size_t i = 0; i < row.size(); ++i) {
    line += row[i];
    if (i + 1 < row.size()) line.append(widths[i] - Characters(row[i]) + 3, ' ');
  }
  line.erase(line.find_last_not_of(' ') + 1);
  *out += line + "\n";
}

}  // namespace

std::string Table::Render() const {
  std::vector<size_t> widths(header_.size(), 0);
  const auto widen = [&](const std::vector<std::string>& row) {
    for (size_t i = 0; i < std::min(row.size(), widths.size()); ++i) widths[i] = std::max(widths[i], Characters(row[i]));
  };
  widen(header_);
  for (const auto& row : rows_) widen(row);
  std::string out;
  AppendRow(header_, widths, &out);
  for (const auto& row : rows_) AppendRow(row, widths, &out);
  return out;
}

std::string Sparkline(const std::vector<double>& values, size_t width) {
  static constexpr const char* kBars[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
  if (values.empty() || width == 0) return {};
  double low = INFINITY, high = -INFINITY;
  for (const double value : values) {
    if (std::isfinite(value)) low = std::min(low, value), high = std::max(high, value);
  }
  std::string out;
  const size_t columns = std::min(width, values.size());
  for (size_t i = 0; i < columns; ++i) {
    // The largest of the values that share a column: a peak must not vanish.
    double value = NAN;
    for (size_t j = i * values.size() / columns; j < (i + 1) * values.size() / columns; ++j) {
      if (std::isfinite(values[j]) && !(value >= values[j])) value = values[j];
    }
    if (std::isnan(value)) {
      out += " ";
    } else {
      out += kBars[high > low ? static_cast<size_t>((value - low) / (high - low) * 7.0) : 0];
    }
  }
  return out;
}

std::string HumanNumber(double value) {
  static constexpr const char* kUnits[] = {"", "k", "M", "G", "T", "P"};
  if (!std::isfinite(value)) return fmt::format("{}", value);
  size_t unit = 0;
  while (std::abs(value) >= 10000 && unit + 1 < std::size(kUnits)) {
    value /= 1000;
    ++unit;
  }
  return fmt::format("{:.4g}{}", value, kUnits[unit]);
}

std::string HumanDuration(double seconds) {
  const auto s = static_cast<long long>(seconds);
  if (s < 120) return fmt::format("{}s", s);
  if (s < 7200) return fmt::format("{}m{}s", s / 60, s % 60);
  if (s < 2 * 86400) return fmt::format("{}h{}m", s / 3600, s / 60 % 60);
  return fmt::format("{}d{}h", s / 86400, s / 3600 % 24);
}

}  // namespace faultline::cli
