#include "aggregator/cli/time_option.h"

#include <cmath>

#include "common/clock.h"
#include "common/text.h"

namespace faultline::cli {

Result<int64_t> ParseMoment(const std::string& name, const std::string& text) {
  const int64_t now = SystemClock().UnixNs();
  if (text.empty() || text == "now") return now;
  if (const auto time = ParseTime(text)) return *time;
  if (const auto seconds = ParseDouble(text); seconds && *seconds > 1e6 && *seconds < 9e9) {
    return static_cast<int64_t>(std::llround(*seconds * 1e3)) * kNsPerMs;
  }
  if (const auto back = ParseDurationNs(text)) return now - std::abs(*back);
  return Fail(ErrorCode::kInvalidArgument, "{}: '{}' is no time (RFC 3339, seconds since 1970, or a duration back such as 15m)",
              name, text);
}

std::string ApiSeconds(int64_t unix_ns) { return fmt::format("{:.3f}", static_cast<double>(unix_ns) / 1e9); }

}  // namespace faultline::cli
