// A counter that always moved and then does not move at all: a frozen or stopped process does exactly nothing, which a busy or a
// waiting one never does for long. Needs the stillness to last.

#include <algorithm>

#include "aggregator/diagnosis/catalogue.h"
#include "aggregator/diagnosis/signals.h"
#include "aggregator/diagnosis/statistics.h"

namespace faultline {
namespace {

constexpr size_t kMinBaseline = 5;
constexpr int64_t kMinStillMs = 4000;
constexpr double kScore = 60;

class Stopped final : public Detector {
 public:
  std::vector<Anomaly> Detect(const SeriesWindow& window) const override {
    if (window.type != v1::METRIC_TYPE_COUNTER || window.baseline.size() < kMinBaseline) return {};
    // Always moved: four seconds of five at least.
    size_t moving = 0;
    for (const Sample& sample : window.baseline) moving += sample.value > 0 ? 1 : 0;
    if (moving * 5 < window.baseline.size() * 4) return {};
    size_t begin = 0, best_begin = 0, best_end = 0;
    for (size_t i = 0; i <= window.window.size(); ++i) {
      if (i < window.window.size() && window.window[i].value == 0) continue;
      if (i - begin > best_end - best_begin) {
        best_begin = begin;
        best_end = i;
      }
      begin = i + 1;
    }
    if (best_end == best_begin) return {};
    const int64_t still_ms = window.window[best_end - 1].time_ms - window.window[best_begin].time_ms;
    if (still_ms < kMinStillMs) return {};
    Anomaly anomaly;
    anomaly.labels = window.labels;
    anomaly.signal = std::string(LabelValue(window.labels, "__name__"));
    anomaly.expression = window.expression;
    anomaly.onset_unix_ms = best_begin > 0 ? window.window[best_begin - 1].time_ms
                                           : window.baseline.back().time_ms;
    anomaly.score = kScore;
    anomaly.before = Median(ValuesOf(window.baseline));
    anomaly.direction = "gone";
    return {anomaly};
  }
};

}  // namespace

std::unique_ptr<Detector> MakeStopped() { return std::make_unique<Stopped>(); }

}  // namespace faultline
