// A recorded exposition of node_exporter ("T <ms>" before each scrape), replayed as any number of
// nodes for any time: each node walks through the recording from a random place, again and again;
// what changed, changes by a random share more or less, in the recording's own digits, so that no
// two passes are alike and a compressor finds no repetition that real nodes would not have.
// Counters keep counting. Seeded: the same nodes every time.
#pragma once

#include <cmath>
#include <cstdint>
#include <fstream>
#include <limits>
#include <numeric>
#include <random>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "aggregator/store/store.h"
#include "common/text.h"

namespace faultline {

struct RecordedSeries {
  Labels labels;
  bool counter = false;
  double scale = 1;    // 10^digits after the point; 0: full precision
  double granule = 1;  // whole numbers are multiples of it: pages, sectors
  bool multiplied =
      false;  // made as number * 1e-3 or the like, with the odd last bits that this gives
  std::vector<double> values;  // one per scrape; NaN: not there
};

// name{a="b",c="d"}
inline Labels ParseExpositionLabels(std::string_view text) {
  const size_t brace = text.find('{');
  Labels labels = {{"__name__", std::string(text.substr(0, brace))}};
  if (brace == std::string_view::npos) return labels;
  text.remove_prefix(brace + 1);
  while (!text.empty()) {
    const size_t equals = text.find("=\"");
    if (equals == std::string_view::npos) break;
    size_t end = equals + 2;
    std::string value;
    for (; end < text.size() && text[end] != '"'; ++end) {
      if (text[end] == '\\') ++end;
      value += text[end];
    }
    labels.emplace_back(std::string(text.substr(0, equals)), std::move(value));
    text.remove_prefix(std::min(text.size(), end + 2));
  }
  return labels;
}

inline int DigitsAfterPoint(std::string_view number) {
  const size_t exponent = number.find('e');
  const size_t point = number.find('.');
  const std::string_view mantissa = number.substr(0, exponent);
  int digits = point == std::string_view::npos ? 0 : static_cast<int>(mantissa.size() - point - 1);
  if (exponent != std::string_view::npos)
    digits -= std::atoi(std::string(number.substr(exponent + 1)).c_str());
  return std::max(0, digits);
}

inline double GranuleOf(const std::vector<double>& values) {
  uint64_t granule = 0;
  for (const double value : values) {
    if (std::isnan(value)) continue;
    if (std::abs(value) > 0x1p53 || std::trunc(value) != value) return 1;
    granule = std::gcd(granule, static_cast<uint64_t>(std::abs(value)));
  }
  return granule < 2 ? 1 : static_cast<double>(granule);
}

// 10^digits of numbers that only arithmetic made look longer; 0 if they are long.
inline double HiddenScaleOf(const std::vector<double>& values) {
  for (const double scale : {1e3, 1e6, 1e9}) {
    bool all = true;
    for (const double value : values) {
      if (std::isnan(value)) continue;
      const double scaled = value * scale;
      all = all && std::abs(scaled) < 0x1p50 &&
            std::abs(scaled - std::nearbyint(scaled)) <= 1e-6 + std::abs(scaled) * 1e-13;
    }
    if (all) return scale;
  }
  return 0;
}

inline std::vector<RecordedSeries> LoadNodeMetrics(const std::string& path) {
  std::vector<RecordedSeries> all;
  std::unordered_map<std::string, size_t> index;
  std::vector<int> digits;
  std::ifstream file(path);
  std::string line;
  size_t scrapes = 0;
  const double nan = std::numeric_limits<double>::quiet_NaN();
  while (std::getline(file, line)) {
    if (line.starts_with("T ")) {
      ++scrapes;
      for (RecordedSeries& series : all) series.values.resize(scrapes, nan);
      continue;
    }
    const size_t blank = line.rfind(' ');
    const auto value = ParseDouble(line.substr(blank + 1));
    if (!value || scrapes == 0) continue;
    const auto [at, is_new] = index.try_emplace(line.substr(0, blank), all.size());
    if (is_new) {
      all.push_back({ParseExpositionLabels(std::string_view(line).substr(0, blank)), true, 1, {}});
      all.back().values.resize(scrapes, nan);
      digits.push_back(0);
    }
    RecordedSeries& series = all[at->second];
    series.values.back() = *value;
    digits[at->second] = std::max(digits[at->second], DigitsAfterPoint(line.substr(blank + 1)));
  }
  for (size_t i = 0; i < all.size(); ++i) {
    RecordedSeries& series = all[i];
    series.granule = GranuleOf(series.values);
    const std::string_view name = LabelValue(series.labels, "__name__");
    series.counter = name.ends_with("_total") || name.ends_with("_count") || name.ends_with("_sum");
    series.multiplied = digits[i] > 10;
    series.scale = digits[i] > 10 ? HiddenScaleOf(series.values) : std::pow(10.0, digits[i]);
  }
  return all;
}

class NodeReplay {
 public:
  NodeReplay(const std::vector<RecordedSeries>& recorded, uint64_t node, size_t scrapes_per_step)
      : recorded_(recorded),
        step_(scrapes_per_step),
        random_(node * 7919 + 1),
        totals_(recorded.size()) {
    for (size_t i = 0; i < recorded.size(); ++i) totals_[i] = std::isnan(First(i)) ? 0 : First(i);
    Jump();
  }

  // The node's values at its next step, one per recorded series; NaN: not there.
  void Next(std::vector<double>& values) {
    const size_t before = at_;
    at_ += step_;
    if (at_ >= Scrapes()) {
      Jump();
      return Next(values);
    }
    values.resize(recorded_.size());
    for (size_t i = 0; i < recorded_.size(); ++i) values[i] = ValueOf(i, before);
  }

 private:
  size_t Scrapes() const { return recorded_.front().values.size(); }
  double First(size_t i) const { return recorded_[i].values.front(); }
  void Jump() { at_ = random_() % (Scrapes() / 2); }
  double ValueOf(size_t i, size_t before) {
    const RecordedSeries& series = recorded_[i];
    const double now = series.values[at_];
    if (std::isnan(now)) return now;
    double change = now - series.values[before];
    if (std::isnan(change) || (series.counter && change < 0)) change = 0;
    const auto share = 0.7 + 0.6 * static_cast<double>(random_() >> 11) * 0x1p-53;
    if (!series.counter) return Rounded(now + change * (share - 1), series);
    totals_[i] = Rounded(totals_[i] + change * share, series);
    return totals_[i];
  }
  static double Rounded(double value, const RecordedSeries& series) {
    if (series.scale == 0) return value;
    const double whole = std::nearbyint(value * series.scale / series.granule) * series.granule;
    return series.multiplied ? whole * (1 / series.scale) : whole / series.scale;
  }

  const std::vector<RecordedSeries>& recorded_;
  const size_t step_;
  size_t at_ = 0;
  std::mt19937_64 random_;
  std::vector<double> totals_;
};

}  // namespace faultline
