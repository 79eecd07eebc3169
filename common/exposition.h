// Reads Prometheus' text exposition format, version 0.0.4. Strict: the first line that is wrong
// fails the whole text, because half a file is worse than none.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/result.h"
#include "faultline/v1/record.pb.h"

namespace faultline {

struct ExpositionSample {
  size_t family = 0;  // index into Exposition::families
  std::string name;   // of the series: that of the family, or with _bucket, _sum, _count
  std::vector<std::pair<std::string, std::string>> labels;  // as written; no name twice
  double value = 0;
  bool has_time = false;
  int64_t time_unix_ms = 0;
};

struct Exposition {
  struct Family {
    std::string name;
    v1::MetricType type = v1::METRIC_TYPE_UNTYPED;
    std::string help;  // empty: none given
  };
  std::vector<Family> families;
  std::vector<ExpositionSample> samples;
};

// kCorruption with the number of the line and what is wrong there; kResourceExhausted beyond
// max_samples.
Result<Exposition> ParseExposition(std::string_view text, size_t max_samples = 100'000);

}  // namespace faultline
