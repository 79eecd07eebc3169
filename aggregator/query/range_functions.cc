// Kernels of the functions over a range of samples. They follow Prometheus 2.42's arithmetic step
// by step (order of operations, compensated sums), because users compare the digits.
#include <algorithm>
#include <cmath>
#include <limits>

#include "aggregator/query/promql_functions.h"

namespace faultline::promql {
namespace {

// Neumaier's compensated sum.
struct CompensatedSum {
  double sum = 0;
  double compensation = 0;
  void Add(double increment) {
    const double total = sum + increment;
    if (std::abs(sum) >= std::abs(increment)) {
      compensation += (sum - total) + increment;
    } else {
      compensation += (increment - total) + sum;
    }
    sum = total;
  }
  double Value() const { return sum + compensation; }
};

double Extrapolated(const Window& window, bool is_counter, bool is_rate) {
  const auto samples = window.samples;
  if (samples.size() < 2) return Absent();
  const Sample& first = samples.front();
  const Sample& last = samples.back();
  double result = last.value - first.value;
  if (is_counter) {
    for (const uint32_t i : window.resets) result += samples[i - window.first - 1].value;
  }
  double to_start = static_cast<double>(first.time_ms - window.begin_ms) / 1000;
  double to_end = static_cast<double>(window.end_ms - last.time_ms) / 1000;
  const double sampled = static_cast<double>(last.time_ms - first.time_ms) / 1000;
  const double average_gap = sampled / static_cast<double>(samples.size() - 1);
  if (is_counter && result > 0 && first.value >= 0) {
    // A counter cannot have been negative: do not extrapolate past its zero.
    to_start = std::min(to_start, sampled * (first.value / result));
  }
  const double threshold = average_gap * 1.1;
  double extrapolated = sampled;
  extrapolated += to_start < threshold ? to_start : average_gap / 2;
  extrapolated += to_end < threshold ? to_end : average_gap / 2;
  double factor = extrapolated / sampled;
  if (is_rate) factor /= window.range_s;
  return result * factor;
}

double Instant(const Window& window, bool is_rate) {
  const auto samples = window.samples;
  if (samples.size() < 2) return Absent();
  const Sample& last = samples[samples.size() - 1];
  const Sample& previous = samples[samples.size() - 2];
  const int64_t gap_ms = last.time_ms - previous.time_ms;
  if (gap_ms == 0) return Absent();
  double result = last.value - previous.value;
  if (is_rate && last.value < previous.value) result = last.value;
  return is_rate ? result / (static_cast<double>(gap_ms) / 1000) : result;
}

struct Line {
  double slope;
  double intercept;
};

// Least squares; the intercept is at `intercept_ms`.
Line Regression(std::span<const Sample> samples, int64_t intercept_ms) {
  CompensatedSum sum_x, sum_y, sum_xy, sum_x2;
  bool constant = true;
  for (const Sample& sample : samples) {
    if (sample.value != samples.front().value) constant = false;
    const double x = static_cast<double>(sample.time_ms - intercept_ms) / 1e3;
    sum_x.Add(x);
    sum_y.Add(sample.value);
    sum_xy.Add(x * sample.value);
    sum_x2.Add(x * x);
  }
  if (constant) {
    const double y = samples.front().value;
    if (std::isinf(y)) {
      const double nan = std::numeric_limits<double>::quiet_NaN();
      return {nan, nan};
    }
    return {0, y};
  }
  const double n = static_cast<double>(samples.size());
  const double x = sum_x.Value(), y = sum_y.Value();
  const double covariance = sum_xy.Value() - x * y / n;
  const double variance = sum_x2.Value() - x * x / n;
  const double slope = covariance / variance;
  return {slope, y / n - slope * x / n};
}

double Variance(const Window& window) {
  double count = 0;
  CompensatedSum mean, squares;
  for (const Sample& sample : window.samples) {
    ++count;
    const double delta = sample.value - mean.Value();
    mean.Add(delta / count);
    squares.Add(delta * (sample.value - mean.Value()));
  }
  return squares.Value() / count;
}

}  // namespace

double QuantileOf(double q, std::vector<double>& values) {
  if (values.empty() || std::isnan(q)) return std::numeric_limits<double>::quiet_NaN();
  if (q < 0) return -std::numeric_limits<double>::infinity();
  if (q > 1) return std::numeric_limits<double>::infinity();
  std::sort(values.begin(), values.end(), [](double a, double b) {
    if (std::isnan(a)) return !std::isnan(b);  // NaN is the smallest
    return a < b;
  });
  const double n = static_cast<double>(values.size());
  const double rank = q * (n - 1);
  const double lower = std::max(0.0, std::floor(rank));
  const double upper = std::min(n - 1, lower + 1);
  const double weight = rank - std::floor(rank);
  return values[static_cast<size_t>(lower)] * (1 - weight) +
         values[static_cast<size_t>(upper)] * weight;
}

namespace range_functions {

double Rate(const Window& window) { return Extrapolated(window, true, true); }
double Increase(const Window& window) { return Extrapolated(window, true, false); }
double Delta(const Window& window) { return Extrapolated(window, false, false); }
double Irate(const Window& window) { return Instant(window, true); }
double Idelta(const Window& window) { return Instant(window, false); }

double Deriv(const Window& window) {
  if (window.samples.size() < 2) return Absent();
  return Regression(window.samples, window.samples.front().time_ms).slope;
}

double PredictLinear(const Window& window) {
  if (window.samples.size() < 2) return Absent();
  const Line line = Regression(window.samples, window.eval_ms);
  return line.slope * window.parameters[0] + line.intercept;
}

std::string CheckHoltWinters(const double* parameters) {
  const double smoothing = parameters[0], trend = parameters[1];
  if (smoothing <= 0 || smoothing >= 1) {
    return fmt::format("invalid smoothing factor. Expected: 0 < sf < 1, got: {:f}", smoothing);
  }
  if (trend <= 0 || trend >= 1) {
    return fmt::format("invalid trend factor. Expected: 0 < tf < 1, got: {:f}", trend);
  }
  return {};
}

double HoltWinters(const Window& window) {
  const auto samples = window.samples;
  if (samples.size() < 2) return Absent();
  const double smoothing = window.parameters[0], trend_factor = window.parameters[1];
  double previous = 0;
  double smoothed = samples[0].value;
  double trend = samples[1].value - samples[0].value;
  for (size_t i = 1; i < samples.size(); ++i) {
    const double x = smoothing * samples[i].value;
    if (i > 1) trend = trend_factor * (smoothed - previous) + (1 - trend_factor) * trend;
    const double y = (1 - smoothing) * (smoothed + trend);
    previous = smoothed;
    smoothed = x + y;
  }
  return smoothed;
}

double Resets(const Window& window) { return static_cast<double>(window.resets.size()); }

double Changes(const Window& window) {
  size_t changes = 0;
  for (size_t i = 1; i < window.samples.size(); ++i) {
    const double previous = window.samples[i - 1].value, current = window.samples[i].value;
    if (current != previous && !(std::isnan(current) && std::isnan(previous))) ++changes;
  }
  return static_cast<double>(changes);
}

double AvgOverTime(const Window& window) {
  double count = 0;
  CompensatedSum mean;
  for (const Sample& sample : window.samples) {
    ++count;
    if (std::isinf(mean.sum)) {
      // An infinite mean stays as it is, unless NaN or the opposite infinity comes.
      if (std::isinf(sample.value) && (mean.sum > 0) == (sample.value > 0)) continue;
      if (!std::isinf(sample.value) && !std::isnan(sample.value)) continue;
    }
    mean.Add(sample.value / count - mean.sum / count);
  }
  return std::isinf(mean.sum) ? mean.sum : mean.Value();
}

double SumOverTime(const Window& window) {
  CompensatedSum sum;
  for (const Sample& sample : window.samples) sum.Add(sample.value);
  return std::isinf(sum.sum) ? sum.sum : sum.Value();
}

double CountOverTime(const Window& window) { return static_cast<double>(window.samples.size()); }

double MinOverTime(const Window& window) {
  double least = window.samples.front().value;
  for (const Sample& sample : window.samples) {
    if (sample.value < least || std::isnan(least)) least = sample.value;
  }
  return least;
}

double MaxOverTime(const Window& window) {
  double greatest = window.samples.front().value;
  for (const Sample& sample : window.samples) {
    if (sample.value > greatest || std::isnan(greatest)) greatest = sample.value;
  }
  return greatest;
}

double LastOverTime(const Window& window) { return window.samples.back().value; }
double PresentOverTime(const Window&) { return 1; }

double QuantileOverTime(const Window& window) {
  std::vector<double> values;
  values.reserve(window.samples.size());
  for (const Sample& sample : window.samples) values.push_back(sample.value);
  return QuantileOf(window.parameters[0], values);
}

double StdvarOverTime(const Window& window) { return Variance(window); }
double StddevOverTime(const Window& window) { return std::sqrt(Variance(window)); }

}  // namespace range_functions
}  // namespace faultline::promql
