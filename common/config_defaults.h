// The defaults that config.proto's comments state, set where the user said nothing.
#pragma once

#include "common/result.h"
#include "faultline/v1/config.pb.h"

namespace faultline {

// kInvalidArgument names the key whose value makes no sense (a period of 0, a listen address without authentication).
Result<void> FillDefaults(v1::AgentConfig* config);
Result<void> FillDefaults(v1::AggregatorConfig* config);

}  // namespace faultline
