#include "agent/otlp/export_request.h"

#include <algorithm>
#include <cctype>

#include "common/gzip.h"

namespace faultline::otlp {
namespace {

uint64_t PointsOf(const v1::Metric& metric) {
  switch (metric.data_case()) {
    case v1::Metric::kGauge:
      return static_cast<uint64_t>(metric.gauge().data_points_size());
    case v1::Metric::kSum:
      return static_cast<uint64_t>(metric.sum().data_points_size());
    case v1::Metric::kHistogram:
      return static_cast<uint64_t>(metric.histogram().data_points_size());
    case v1::Metric::kExponentialHistogram:
      return static_cast<uint64_t>(metric.exponential_histogram().data_points_size());
    case v1::Metric::kSummary:
      return static_cast<uint64_t>(metric.summary().data_points_size());
    case v1::Metric::DATA_NOT_SET:
      break;
  }
  return 0;
}

uint64_t ItemsOf(const v1::ExportMetricsServiceRequest& request) {
  uint64_t items = 0;
  for (const auto& resource : request.resource_metrics()) {
    for (const auto& scope : resource.scope_metrics()) {
      for (const v1::Metric& metric : scope.metrics()) items += PointsOf(metric);
    }
  }
  return items;
}

uint64_t ItemsOf(const v1::ExportLogsServiceRequest& request) {
  uint64_t items = 0;
  for (const auto& resource : request.resource_logs()) {
    for (const auto& scope : resource.scope_logs())
      items += static_cast<uint64_t>(scope.log_records_size());
  }
  return items;
}

uint64_t ItemsOf(const v1::ExportTraceServiceRequest& request) {
  uint64_t items = 0;
  for (const auto& resource : request.resource_spans()) {
    for (const auto& scope : resource.scope_spans())
      items += static_cast<uint64_t>(scope.spans_size());
  }
  return items;
}

// The body itself when it is protobuf already.
template <typename Message>
uint64_t Fill(const Message& message, std::string body, Encoding encoding, std::string* into) {
  *into = encoding == Encoding::kProtobuf ? std::move(body) : message.SerializeAsString();
  return ItemsOf(message);
}

}  // namespace

Result<ExportRequest> ReadExport(std::string_view path, std::string_view content_encoding,
                                 std::string body, Encoding encoding, size_t max_bytes,
                                 int64_t received_unix_ns) {
  std::string packed(content_encoding);  // codings are the same in any case (RFC 9110)
  std::ranges::transform(packed, packed.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  if (packed == "gzip") {
    FAULTLINE_ASSIGN(body, Gunzip(body, max_bytes));
  } else if (!packed.empty() && packed != "identity") {
    return Fail(ErrorCode::kUnsupported, "content-encoding must be gzip or identity, not '{}'",
                packed);
  }
  ExportRequest out;
  out.record.set_received_unix_ns(received_unix_ns);
  if (path == kMetricsPath) {
    FAULTLINE_ASSIGN(const auto message, DecodeMetrics(body, encoding));
    out.items = Fill(message, std::move(body), encoding, out.record.mutable_metrics());
  } else if (path == kLogsPath) {
    FAULTLINE_ASSIGN(const auto message, DecodeLogs(body, encoding));
    out.items = Fill(message, std::move(body), encoding, out.record.mutable_logs());
  } else if (path == kTracesPath) {
    FAULTLINE_ASSIGN(const auto message, DecodeTraces(body, encoding));
    out.items = Fill(message, std::move(body), encoding, out.record.mutable_traces());
  } else {
    return Fail(ErrorCode::kNotFound, "no such path: {}", path);
  }
  return out;
}

std::string AnswerOf(std::string_view path, Encoding encoding) {
  if (path == kMetricsPath) return Encode(v1::ExportMetricsServiceResponse(), encoding);
  if (path == kLogsPath) return Encode(v1::ExportLogsServiceResponse(), encoding);
  return Encode(v1::ExportTraceServiceResponse(), encoding);
}

}  // namespace faultline::otlp
