// Numbers in the spelling of Go's strconv, which is what clients of Prometheus' API read.
#pragma once

#include <cstdint>
#include <string>

namespace faultline::promql {

// FormatFloat(value, 'f', -1): never an exponent.
std::string GoFloatText(double value);
// A sample's value in the API: as above between 1e-6 and 1e21, with an exponent elsewhere.
void AppendSampleValue(std::string& out, double value);
// Milliseconds as seconds: 1435781430.781, 1435781430.
void AppendTimestamp(std::string& out, int64_t time_ms);

}  // namespace faultline::promql
