// A series left its usual level and stayed away for some seconds. Score: how many robust deviations of the baseline the new level is
// away; a flat baseline has no deviation, so 5 % of the level, and the signal's own floor, bound it from below.

#include <algorithm>
#include <cmath>

#include "aggregator/diagnosis/catalogue.h"
#include "aggregator/diagnosis/signals.h"
#include "aggregator/diagnosis/statistics.h"

namespace faultline {
namespace {

constexpr size_t kMinBaseline = 5;
constexpr size_t kMinSamples = 3;
constexpr double kMinScore = 4;
constexpr double kMaxScore = 1000;

class LevelShift final : public Detector {
 public:
  std::vector<Anomaly> Detect(const SeriesWindow& window) const override {
    if (window.baseline.size() < kMinBaseline || window.window.size() < kMinSamples) return {};
    const Signal* signal = FindSignal(LabelValue(window.labels, "__name__"));
    const double floor = signal == nullptr ? 0 : signal->floor;
    const Shift shift = FindShift(window.baseline, window.window, kMinSamples);
    const double change = std::abs(shift.during - shift.before);
    if (change <= floor || change == 0) return {};
    const double spread = std::max({ScaledMad(ValuesOf(window.baseline), shift.before),
                                    0.05 * std::abs(shift.before), floor / 4, 1e-12});
    const double score = std::min(change / spread, kMaxScore);
    if (score < kMinScore) return {};
    Anomaly anomaly;
    anomaly.labels = window.labels;
    anomaly.signal = std::string(LabelValue(window.labels, "__name__"));
    anomaly.expression = window.expression;
    // A rate's sample covers the interval that ends with it: the change began after the sample before.
    const int64_t at = window.window[shift.at].time_ms;
    const int64_t previous =
        shift.at > 0 ? window.window[shift.at - 1].time_ms : window.baseline.back().time_ms;
    anomaly.onset_unix_ms = (at + previous) / 2;
    anomaly.score = score;
    anomaly.before = shift.before;
    anomaly.during = shift.during;
    anomaly.direction = shift.during > shift.before ? "up" : "down";
    return {anomaly};
  }
};

}  // namespace

std::unique_ptr<Detector> MakeLevelShift() { return std::make_unique<LevelShift>(); }

}  // namespace faultline
