// A series that was not there before and is there now: a new errno, a first OOM kill, a container that started. Only when the
// subject itself was watched before cannot be known here; so the score is modest and the ranker weighs it.

#include <algorithm>

#include "aggregator/diagnosis/catalogue.h"
#include "aggregator/diagnosis/signals.h"
#include "aggregator/diagnosis/statistics.h"

namespace faultline {
namespace {

constexpr double kScore = 8;

class Appeared final : public Detector {
 public:
  std::vector<Anomaly> Detect(const SeriesWindow& window) const override {
    if (!window.baseline.empty() || window.window.empty()) return {};
    const Signal* signal = FindSignal(LabelValue(window.labels, "__name__"));
    const double during = Median(ValuesOf(window.window));
    if (signal == nullptr || during <= signal->floor) return {};
    Anomaly anomaly;
    anomaly.labels = window.labels;
    anomaly.signal = std::string(LabelValue(window.labels, "__name__"));
    anomaly.expression = window.expression;
    anomaly.onset_unix_ms = window.window.front().time_ms;
    anomaly.score = kScore;
    anomaly.during = during;
    anomaly.direction = "new";
    return {anomaly};
  }
};

}  // namespace

std::unique_ptr<Detector> MakeAppeared() { return std::make_unique<Appeared>(); }

}  // namespace faultline
