// The kernel's own words for trouble: patterns over /dev/kmsg that come with the agent. Permanent
// ones set a condition until it expires or checks.builtin.kernel_log is switched off.
#pragma once

#include <vector>

#include "agent/checks/rule.h"
#include "faultline/v1/config.pb.h"

namespace faultline {

std::vector<LogMonitor> BuiltinLogMonitors(const v1::ChecksConfig& config);

}  // namespace faultline
