#include "aggregator/api/routes/trace_request.h"

#include <cmath>

#include "common/base_n.h"
#include "common/text.h"

namespace faultline::routes {

Result<std::string> ParseTraceId(std::string_view text) {
  constexpr size_t kHexDigits = 32;
  std::string padded(text.size() < kHexDigits ? kHexDigits - text.size() : 0, '0');
  padded += text;
  const std::string id = FromHex(padded);
  if (text.empty() || id.size() != kHexDigits / 2) {
    return Fail(ErrorCode::kInvalidArgument, "a trace id is at most {} hexadecimal digits", kHexDigits);
  }
  return id;
}

Result<int64_t> ParseTraceTime(std::string_view text, int64_t fallback_ns) {
  if (text.empty()) return fallback_ns;
  if (const auto time = ParseTime(text)) return *time;
  const auto number = ParseDouble(text);
  if (!number || !(std::abs(*number) < 9e18))
    return Fail(ErrorCode::kInvalidArgument, "cannot parse '{}' to a time", ReplaceInvalidUtf8(text));
  double scale = 1e9;
  for (const double limit : {1e11, 1e14, 1e17}) {
    if (std::abs(*number) >= limit) scale /= 1000;
  }
  return static_cast<int64_t>(std::min(*number * scale, 9.2e18));
}

Result<int64_t> ParseTraceDuration(std::string_view name, std::string_view text, int64_t fallback_ns) {
  if (text.empty()) return fallback_ns;
  if (const auto duration = ParseDurationNs(text)) return *duration;
  // 1.5s, 0.2ms
  const size_t unit = text.find_first_not_of("0123456789.");
  const auto number = ParseDouble(text.substr(0, unit));
  const auto one = unit == std::string_view::npos ? std::nullopt : ParseDurationNs("1" + std::string(text.substr(unit)));
  if (number && one) return static_cast<int64_t>(*number * static_cast<double>(*one));
  return Fail(ErrorCode::kInvalidArgument, "{}: cannot parse '{}' to a duration", name, ReplaceInvalidUtf8(text));
}

std::function<Result<void>()> DeadlineOf(const Request& request, const ApiContext& context) {
  return [deadline = request.deadline_steady_ns, clock = context.clock]() -> Result<void> {
    if (deadline != 0 && clock->SteadyNs() > deadline) return Fail(ErrorCode::kTimeout, "the search timed out");
    return {};
  };
}

}  // namespace faultline::routes
