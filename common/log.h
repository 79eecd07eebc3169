// The program's own log (spdlog behind it). Never log secrets, tokens or bodies.
#pragma once

#include <string>
#include <string_view>

#include <spdlog/spdlog.h>

#include "common/result.h"

namespace faultline {

// level: trace debug info warn error; format: text or json. To standard error.
Result<void> SetUpLog(std::string_view level, std::string_view format);

// True at most once per `interval_s` for each `key`: for messages that repeat. Thread-safe, bounded.
bool LogAllowed(std::string_view key, int interval_s = 60);

}  // namespace faultline
