// Histograms of durations as bpf/include/times.h keeps them, as series.
#pragma once

#include <linux/types.h>

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "bpf/include/times.h"
#include "common/emitter.h"

namespace faultline {

struct HistogramFamily {
  MetricFamily bucket;
  MetricFamily sum;
  MetricFamily count;
};

// The three names must be x_bucket, x_sum and x_count.
constexpr HistogramFamily TimeHistogram(std::string_view bucket, std::string_view sum,
                                        std::string_view count, std::string_view help) {
  return {{bucket, v1::METRIC_TYPE_HISTOGRAM, help},
          {sum, v1::METRIC_TYPE_HISTOGRAM, help},
          {count, v1::METRIC_TYPE_HISTOGRAM, help}};
}

// Upper bounds in seconds, the last one +Inf.
const std::array<std::string, TIME_BUCKETS>& TimeBounds();
// What a program keeps is 1 + TIME_BUCKETS words: the sum, then the buckets. `labels` have at most
// four names.
void EmitTimes(std::string_view path, const HistogramFamily& family, LabelViews labels,
               uint64_t sum_ns, std::span<const uint64_t> buckets, Emitter& out);

}  // namespace faultline
