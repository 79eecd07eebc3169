// Whose series it is: a container's, or the node's (path "/") with the id of the root cgroup, or
// nobody's in particular (kNoOwner).
#pragma once

#include <string_view>

#include "common/emitter.h"

namespace faultline {

inline constexpr std::string_view kNoOwner;

void SampleOfOwner(std::string_view path, const MetricFamily& family, LabelViews labels,
                   double value, Emitter& out);

}  // namespace faultline
