// Series of the store, and the ground truth as series: faultline_fault_active{fault, experiment,
// namespace, pod, container, node, uid} is 1 while that fault is in force and ends with a stale
// marker, so that a selector is exact at both ends. Its samples exist only in the query that asks.
#include <algorithm>
#include <unordered_map>

#include "aggregator/labels/ground_truth.h"
#include "aggregator/query/matrix.h"
#include "aggregator/query/series_source.h"
#include "aggregator/store/value_test.h"

namespace faultline::promql {
namespace {

constexpr std::string_view kFaultMetric = "faultline_fault_active";
constexpr SeriesId kFaultSeriesBit = 1ull << 63;  // the store counts from 1
constexpr int64_t kFaultSampleMs = 5'000;
constexpr int64_t kMaxFaultSamples = 100'000;

bool Matches(const LabelMatcher& matcher, std::string_view value) {
  const auto test = ValueTest::Of(matcher);
  return test && test->Keeps(value);
}

Labels LabelsOfFault(const FaultLabel& fault) {
  Labels labels;
  for (const auto& [name, value] :
       std::initializer_list<std::pair<std::string_view, std::string_view>>{
           {"__name__", kFaultMetric},
           {"container", fault.target.container()},
           {"experiment", fault.experiment},
           {"fault", fault.fault},
           {"namespace", fault.target.namespace_()},
           {"node", fault.node},
           {"pod", fault.target.pod()},
           {"uid", fault.uid}}) {
    if (!value.empty()) labels.emplace_back(name, value);
  }
  return labels;
}

struct ActiveFault {
  Labels labels;
  int64_t begin_ms;
  int64_t end_ms;  // 0 while in force
};

// Milliseconds that are also nanoseconds: queries may ask for all of time and beyond.
int64_t Representable(int64_t time_ms) {
  constexpr int64_t kMostMs = INT64_MAX / kNsPerMs;
  return std::clamp(time_ms, -kMostMs, kMostMs);
}

std::vector<ActiveFault> MatchingFaults(const FaultLabels& fault_labels,
                                        std::span<const LabelMatcher> matchers, int64_t begin_ms,
                                        int64_t end_ms) {
  std::vector<ActiveFault> faults;
  for (const LabelMatcher& matcher : matchers) {
    if (matcher.name == kMetricName && !Matches(matcher, kFaultMetric)) return faults;
  }
  if (!fault_labels) return faults;
  for (const FaultLabel& fault :
       fault_labels(Representable(begin_ms) * kNsPerMs, Representable(end_ms) * kNsPerMs)) {
    if (fault.begin_unix_ns == 0) continue;  // never in force
    Labels labels = LabelsOfFault(fault);
    const bool all =
        std::all_of(matchers.begin(), matchers.end(), [&](const LabelMatcher& matcher) {
          return Matches(matcher, LabelValue(labels, matcher.name));
        });
    if (!all) continue;
    faults.push_back(
        {std::move(labels), fault.begin_unix_ns / kNsPerMs, fault.end_unix_ns / kNsPerMs});
  }
  return faults;
}

class StoreSource final : public SeriesSource {
 public:
  StoreSource(Store* store, FaultLabels fault_labels)
      : store_(store), fault_labels_(std::move(fault_labels)) {}

  Result<std::vector<SeriesId>> Select(std::span<const LabelMatcher> matchers, int64_t begin_ms,
                                       int64_t end_ms) override {
    begin_ms = Representable(begin_ms);
    end_ms = Representable(end_ms);
    FAULTLINE_ASSIGN(std::vector<SeriesId> ids, store_->Select(matchers, begin_ms, end_ms));
    for (ActiveFault& fault : MatchingFaults(fault_labels_, matchers, begin_ms, end_ms)) {
      ids.push_back(kFaultSeriesBit | faults_.size());
      faults_.push_back(std::move(fault));
    }
    return ids;
  }

  Result<Labels> LabelsOf(SeriesId series) override {
    if ((series & kFaultSeriesBit) == 0) return store_->LabelsOf(series);
    return faults_[series & ~kFaultSeriesBit].labels;
  }

  Result<void> FetchMany(std::span<const SeriesId> series, int64_t begin_ms, int64_t end_ms,
                         const Store::TakeSamples& take) override {
    std::vector<SeriesId> stored;
    std::vector<size_t> places;
    for (size_t i = 0; i < series.size(); ++i) {
      if ((series[i] & kFaultSeriesBit) != 0) {
        FAULTLINE_ASSIGN(std::vector<Sample> samples, Fetch(series[i], begin_ms, end_ms));
        FAULTLINE_TRY(take(i, samples));
      } else {
        stored.push_back(series[i]);
        places.push_back(i);
      }
    }
    return store_->FetchMany(
        stored, Representable(begin_ms), Representable(end_ms),
        [&](size_t place, std::vector<Sample>& samples) { return take(places[place], samples); });
  }

  Result<std::vector<Sample>> Fetch(SeriesId series, int64_t begin_ms, int64_t end_ms) override {
    begin_ms = Representable(begin_ms);
    end_ms = Representable(end_ms);
    if ((series & kFaultSeriesBit) == 0) return store_->Fetch(series, begin_ms, end_ms);
    const ActiveFault& fault = faults_[series & ~kFaultSeriesBit];
    const int64_t last = fault.end_ms == 0 ? end_ms : std::min(end_ms, fault.end_ms - 1);
    const int64_t step =
        std::max(kFaultSampleMs, end_ms / kMaxFaultSamples - begin_ms / kMaxFaultSamples);
    std::vector<Sample> samples;
    for (int64_t t = fault.begin_ms; t <= last; t += step) {
      if (t < begin_ms) t += (begin_ms - t + step - 1) / step * step;
      if (t <= last) samples.push_back({t, 1});
    }
    if (fault.end_ms != 0 && fault.end_ms >= begin_ms && fault.end_ms <= end_ms) {
      samples.push_back({fault.end_ms, Absent()});
    }
    return samples;
  }

 private:
  Store* store_;
  FaultLabels fault_labels_;
  std::vector<ActiveFault> faults_;
};

class WindowedSource final : public SeriesSource {
 public:
  WindowedSource(std::unique_ptr<SeriesSource> source, FaultLabels fault_labels, std::vector<LabelMatcher> matchers, bool only)
      : source_(std::move(source)), fault_labels_(std::move(fault_labels)), matchers_(std::move(matchers)), only_(only) {}

  Result<std::vector<SeriesId>> Select(std::span<const LabelMatcher> matchers, int64_t begin_ms, int64_t end_ms) override {
    return source_->Select(matchers, begin_ms, end_ms);
  }
  Result<Labels> LabelsOf(SeriesId series) override { return source_->LabelsOf(series); }
  Result<std::vector<Sample>> Fetch(SeriesId series, int64_t begin_ms, int64_t end_ms) override {
    FAULTLINE_ASSIGN(std::vector<Sample> samples, source_->Fetch(series, begin_ms, end_ms));
    FAULTLINE_TRY(Cut(MatchingFaults(fault_labels_, matchers_, begin_ms, end_ms), series, samples));
    return samples;
  }
  Result<void> FetchMany(std::span<const SeriesId> series, int64_t begin_ms, int64_t end_ms,
                         const Store::TakeSamples& take) override {
    const auto faults = MatchingFaults(fault_labels_, matchers_, begin_ms, end_ms);
    return source_->FetchMany(
        series, begin_ms, end_ms, [&](size_t place, std::vector<Sample>& samples) -> Result<void> {
          FAULTLINE_TRY(Cut(faults, series[place], samples));
          return take(place, samples);
        });
  }

 private:
  // Removes the samples on the wrong side of the faults' windows.
  Result<void> Cut(const std::vector<ActiveFault>& faults, SeriesId series,
                   std::vector<Sample>& samples) const {
    if (samples.empty()) return {};
    FAULTLINE_ASSIGN(const Labels labels, source_->LabelsOf(series));
    const std::string_view node = LabelValue(labels, "node");
    std::erase_if(samples, [&](const Sample& sample) {
      const bool inside = std::any_of(faults.begin(), faults.end(), [&](const ActiveFault& fault) {
        const std::string_view where = LabelValue(fault.labels, "node");
        return (node.empty() || where.empty() || node == where) && sample.time_ms >= fault.begin_ms &&
               (fault.end_ms == 0 || sample.time_ms < fault.end_ms);
      });
      return inside != only_;
    });
    return {};
  }

  const std::unique_ptr<SeriesSource> source_;
  const FaultLabels fault_labels_;
  const std::vector<LabelMatcher> matchers_;
  const bool only_;
};

}  // namespace

std::unique_ptr<SeriesSource> MakeWindowedSource(std::unique_ptr<SeriesSource> source, const FaultLabels& fault_labels,
                                                 std::vector<LabelMatcher> matchers, bool only) {
  return std::make_unique<WindowedSource>(std::move(source), fault_labels, std::move(matchers), only);
}

std::vector<Labels> FaultSeries(const FaultLabels& fault_labels,
                                std::span<const LabelMatcher> matchers, int64_t begin_ms,
                                int64_t end_ms) {
  std::vector<Labels> series;
  for (ActiveFault& fault : MatchingFaults(fault_labels, matchers, begin_ms, end_ms)) {
    series.push_back(std::move(fault.labels));
  }
  return series;
}

std::unique_ptr<SeriesSource> MakeSeriesSource(Store* store, FaultLabels fault_labels) {
  return std::make_unique<StoreSource>(store, std::move(fault_labels));
}

}  // namespace faultline::promql
