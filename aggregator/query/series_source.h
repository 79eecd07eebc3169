// Where the evaluator gets its series from: the store's, and the ground truth's as series of their
// own. One object per query; only FetchMany may be called by several threads, after Select.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "aggregator/store/store.h"
#include "common/result.h"

namespace faultline {

struct FaultLabel;

namespace promql {

class SeriesSource {
 public:
  virtual ~SeriesSource() = default;
  virtual Result<std::vector<SeriesId>> Select(std::span<const LabelMatcher> matchers,
                                               int64_t begin_ms, int64_t end_ms) = 0;
  virtual Result<Labels> LabelsOf(SeriesId series) = 0;
  virtual Result<std::vector<Sample>> Fetch(SeriesId series, int64_t begin_ms, int64_t end_ms) = 0;
  // For several at once, in any order; may be called by several threads.
  virtual Result<void> FetchMany(std::span<const SeriesId> series, int64_t begin_ms, int64_t end_ms,
                                 const Store::TakeSamples& take) = 0;
};

// The labels that overlap [begin, end], as GroundTruth::Between.
using FaultLabels =
    std::function<std::vector<FaultLabel>(int64_t begin_unix_ns, int64_t end_unix_ns)>;

// The labels of the series faultline_fault_active that match: for lists of names and values.
std::vector<Labels> FaultSeries(const FaultLabels& fault_labels,
                                std::span<const LabelMatcher> matchers, int64_t begin_ms,
                                int64_t end_ms);

// `fault_labels` may be empty: then no fault is a series.
std::unique_ptr<SeriesSource> MakeSeriesSource(Store* store, FaultLabels fault_labels);

// The same series without the samples that lie outside (`only`) or inside the windows of faults that match `matchers`
// (as labels of faultline_fault_active). A fault's window is that of its node for series that have the label `node`,
// and everybody's for the rest.
std::unique_ptr<SeriesSource> MakeWindowedSource(std::unique_ptr<SeriesSource> source, const FaultLabels& fault_labels,
                                                 std::vector<LabelMatcher> matchers, bool only);

}  // namespace promql
}  // namespace faultline
