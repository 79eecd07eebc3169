// OTLP/HTTP's bodies (opentelemetry.io/docs/specs/otlp), which both programs take: requests from
// protobuf or JSON, answers in the encoding of the request. Pure functions.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "common/result.h"
#include "faultline/v1/otlp.pb.h"

namespace faultline::otlp {

enum class Encoding { kProtobuf, kJson };

// By the content type; nullopt for what OTLP has none of.
std::optional<Encoding> EncodingOf(std::string_view content_type);
std::string_view ContentType(Encoding encoding);

// kInvalidArgument for what is no such message. JSON follows OTLP's rules: ids in hexadecimal,
// unknown members ignored, integers as numbers or texts.
Result<v1::ExportMetricsServiceRequest> DecodeMetrics(std::string_view body, Encoding encoding);
Result<v1::ExportLogsServiceRequest> DecodeLogs(std::string_view body, Encoding encoding);
Result<v1::ExportTraceServiceRequest> DecodeTraces(std::string_view body, Encoding encoding);

// JSON by the same rules.
Result<std::string> EncodeJson(const google::protobuf::Message& message);
std::string Encode(const google::protobuf::Message& message, Encoding encoding);
// google.rpc.Status for the refusal of a whole request.
std::string EncodeRefusal(int http_status, std::string_view message, Encoding encoding);

}  // namespace faultline::otlp
