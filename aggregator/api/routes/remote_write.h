// Decoding of a remote write body, apart from its route so that it can be fuzzed.
#pragma once

#include <string_view>

#include "common/result.h"
#include "faultline/v1/prometheus.pb.h"

namespace faultline::routes {

// kInvalidArgument for what is not a snappy block of a RemoteWriteRequest, or too large once
// decoded.
Result<v1::RemoteWriteRequest> DecodeRemoteWrite(std::string_view body);

}  // namespace faultline::routes
