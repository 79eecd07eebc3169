// Decoding of a remote read body, apart from its route so that it can be fuzzed.
#pragma once

#include <string_view>

#include "common/result.h"
#include "faultline/v1/prometheus.pb.h"

namespace faultline::routes {

// kInvalidArgument for what is not a snappy block of a RemoteReadRequest, or too large once decoded.
Result<v1::RemoteReadRequest> DecodeRemoteRead(std::string_view body);

}  // namespace faultline::routes
