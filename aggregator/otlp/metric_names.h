// OpenTelemetry's names and units of metrics in Prometheus' spelling.
#pragma once

#include <string>
#include <string_view>

namespace faultline::otlp {

enum class NameKind { kGauge, kCounter, kOther };

// http.server.request.duration, s -> http_server_request_duration_seconds; counters end in _total, gauges of
// unit 1 in _ratio; a unit that the name has already is not said twice. Empty if nothing is left of the name.
std::string MetricNameOf(std::string_view name, std::string_view unit, NameKind kind);

}  // namespace faultline::otlp
