// One OTLP/HTTP export request as it came, to the record that goes to the aggregator. Pure; may
// take milliseconds per megabyte, so not on the agent's thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "common/otlp.h"
#include "common/result.h"
#include "faultline/v1/record.pb.h"

namespace faultline::otlp {

inline constexpr std::string_view kMetricsPath = "/v1/metrics";
inline constexpr std::string_view kLogsPath = "/v1/logs";
inline constexpr std::string_view kTracesPath = "/v1/traces";

struct ExportRequest {
  faultline::v1::OtlpRequest record;
  uint64_t items = 0;  // data points, log records or spans
};

// kInvalidArgument: not what path, type or encoding say; kResourceExhausted: longer than
// `max_bytes` when unpacked; kUnsupported: a content encoding other than gzip; kNotFound: no such
// path.
Result<ExportRequest> ReadExport(std::string_view path, std::string_view content_encoding,
                                 std::string body, Encoding encoding, size_t max_bytes,
                                 int64_t received_unix_ns);

// An answer that says that all was taken.
std::string AnswerOf(std::string_view path, Encoding encoding);

}  // namespace faultline::otlp
