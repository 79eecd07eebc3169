#include "agent/probes/time_histogram.h"

#include <algorithm>

#include "agent/probes/series_owner.h"
#include "common/assert.h"
#include "common/text.h"

namespace faultline {

const std::array<std::string, TIME_BUCKETS>& TimeBounds() {
  static const auto bounds = [] {
    std::array<std::string, TIME_BUCKETS> texts;
    for (size_t i = 0; i + 1 < texts.size(); ++i) {
      const uint64_t ns = uint64_t{1} << (TIME_FIRST_BUCKET_LOG2 + 2 * i);
      texts[i] = FormatDouble(static_cast<double>(ns) / 1e9);
    }
    texts.back() = "+Inf";
    return texts;
  }();
  return bounds;
}

void EmitTimes(std::string_view path, const HistogramFamily& family, LabelViews labels,
               uint64_t sum_ns, std::span<const uint64_t> buckets, Emitter& out) {
  std::array<LabelView, 5> with_bound;
  FAULTLINE_ASSERT(labels.size() < with_bound.size(), "more labels than a histogram has");
  std::copy(labels.begin(), labels.end(), with_bound.begin());
  uint64_t below = 0;
  for (size_t i = 0; i < TIME_BUCKETS; ++i) {
    below += buckets[i];
    with_bound[labels.size()] = {"le", TimeBounds()[i]};
    SampleOfOwner(path, family.bucket, LabelViews(with_bound.data(), labels.size() + 1),
                  static_cast<double>(below), out);
  }
  SampleOfOwner(path, family.sum, labels, static_cast<double>(sum_ns) / 1e9, out);
  SampleOfOwner(path, family.count, labels, static_cast<double>(below), out);
}

}  // namespace faultline
