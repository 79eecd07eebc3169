// What the routes of Tempo's and Jaeger's families share.
#pragma once

#include <string>
#include <string_view>

#include "aggregator/api/routes/route.h"
#include "aggregator/traces/trace_search.h"
#include "common/result.h"

namespace faultline::routes {

// A trace id in hexadecimal, short ones filled from the left; to 16 bytes.
Result<std::string> ParseTraceId(std::string_view text);
// Seconds since 1970 with a fraction, by number of digits also milli-, micro- or nanoseconds; `fallback` if empty.
Result<int64_t> ParseTraceTime(std::string_view text, int64_t fallback_ns);
Result<int64_t> ParseTraceDuration(std::string_view name, std::string_view text, int64_t fallback_ns);
// Ends a search at the request's deadline.
std::function<Result<void>()> DeadlineOf(const Request& request, const ApiContext& context);

}  // namespace faultline::routes
