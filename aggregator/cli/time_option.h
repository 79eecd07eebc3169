// Times as people give them on a command line.
#pragma once

#include <cstdint>
#include <string>

#include "common/result.h"

namespace faultline::cli {

// RFC 3339, seconds since 1970 (with fraction), `now`, or a duration back from now: 15m, -15m. Nanoseconds.
Result<int64_t> ParseMoment(const std::string& name, const std::string& text);
// Seconds with a fraction, as the API takes times.
std::string ApiSeconds(int64_t unix_ns);

}  // namespace faultline::cli
