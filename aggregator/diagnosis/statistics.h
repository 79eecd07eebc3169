// Robust statistics over samples: medians do not care about the one odd second.
#pragma once

#include <span>
#include <vector>

#include "aggregator/store/store.h"

namespace faultline {

double Median(std::vector<double> values);  // 0 when empty
// Median absolute deviation, scaled to a normal's standard deviation.
double ScaledMad(const std::vector<double>& values, double median);
std::vector<double> ValuesOf(std::span<const Sample> samples);

struct Shift {
  size_t at = 0;        // index of the first sample behind the change
  double before = 0;    // median of the baseline
  double during = 0;    // median of what lies behind the change
};

// Where the window leaves the baseline for good (for at least `min_samples`): the split that explains most of the
// variance, the classic least-squares change point. Falls back to the whole window when it starts changed.
Shift FindShift(std::span<const Sample> baseline, std::span<const Sample> window, size_t min_samples);

}  // namespace faultline
