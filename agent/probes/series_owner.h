// Whose series it is: a container's, or the node's (path "/") with the id of the root cgroup.
#pragma once

#include <string_view>

#include "common/emitter.h"

namespace faultline {

void SampleOfOwner(std::string_view path, const MetricFamily& family, LabelViews labels,
                   double value, Emitter& out);

}  // namespace faultline
