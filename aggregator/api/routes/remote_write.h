// Reading a remote write 1.0 body, apart from its route so that it can be fuzzed. By hand instead
// of by protobuf's classes: with one sample per series, as scrapes come, those spend more on label
// objects than the store on samples.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "aggregator/store/store.h"
#include "common/result.h"
#include "faultline/v1/prometheus.pb.h"

namespace faultline::routes {

// One series of a request; views into the request or into the reader's scratch.
struct WrittenSeries {
  std::string_view labels;  // its label fields as they were sent, one after the other
  std::vector<Sample> samples;
};

// The bytes below snappy. kInvalidArgument, or kResourceExhausted when they would be more than the
// limit.
Result<std::string> UncompressRemoteWrite(std::string_view body);
// Calls `series` for each series and `metadata` for each metric's description, until one fails.
Result<void> ReadRemoteWrite(
    std::string_view request, const std::function<Result<void>(const WrittenSeries&)>& series,
    const std::function<Result<void>(const v1::RemoteMetadata&)>& metadata);
// Labels out of WrittenSeries::labels: sorted, without empty values, checked as Prometheus checks
// them.
Result<Labels> LabelsOfWritten(std::string_view labels);

}  // namespace faultline::routes
