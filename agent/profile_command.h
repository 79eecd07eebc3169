// The aggregator's order to profile this node, handed to the probe cpu_profile.
#pragma once

#include <functional>

#include "faultline/v1/control.pb.h"

namespace faultline {

// On the agent's thread. `reply` is called once.
void ExecuteProfile(const v1::Command& command, std::function<void(v1::CommandReply)> reply);

}  // namespace faultline
