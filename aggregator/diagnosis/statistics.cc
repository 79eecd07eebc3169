#include "aggregator/diagnosis/statistics.h"

#include <algorithm>
#include <cmath>

namespace faultline {

double Median(std::vector<double> values) {
  if (values.empty()) return 0;
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  if (values.size() % 2 == 1) return *middle;
  return (*middle + *std::max_element(values.begin(), middle)) / 2;
}

double ScaledMad(const std::vector<double>& values, double median) {
  std::vector<double> deviations;
  deviations.reserve(values.size());
  for (const double value : values) deviations.push_back(std::abs(value - median));
  return 1.4826 * Median(std::move(deviations));
}

std::vector<double> ValuesOf(std::span<const Sample> samples) {
  std::vector<double> values;
  values.reserve(samples.size());
  for (const Sample& sample : samples) values.push_back(sample.value);
  return values;
}

Shift FindShift(std::span<const Sample> baseline, std::span<const Sample> window, size_t min_samples) {
  Shift shift;
  shift.before = Median(ValuesOf(baseline));
  if (window.empty()) return shift;
  // The effect need not last until the window's end: look for the segment [from, to) of at least min_samples whose mean is
  // furthest from the baseline, weighed by its length (a scan statistic). Prefix sums make it quadratic in the window only.
  const size_t n = window.size();
  std::vector<double> prefix(n + 1, 0);
  for (size_t i = 0; i < n; ++i) prefix[i + 1] = prefix[i] + (window[i].value - shift.before);
  const size_t shortest = std::min(min_samples, n);
  size_t best_from = 0, best_to = n;
  double best = -1;
  const size_t stride = n / 600 + 1;  // long windows are scanned coarsely
  for (size_t from = 0; from + shortest <= n; from += stride) {
    for (size_t to = from + shortest; to <= n; to += stride) {
      const double sum = prefix[to] - prefix[from];
      const double gain = sum * sum / static_cast<double>(to - from);
      if (gain > best) {
        best = gain;
        best_from = from;
        best_to = to;
      }
    }
  }
  shift.at = best_from;
  shift.during = Median(ValuesOf(window.subspan(best_from, best_to - best_from)));
  return shift;
}

}  // namespace faultline
