// The version of this build, as `--version` prints it and as an agent tells it in its hello.
#pragma once

#include <string_view>

namespace faultline {

std::string_view Version();

}  // namespace faultline
