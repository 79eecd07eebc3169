// OTLP's JSON is protobuf's with one exception: ids are hexadecimal, where protobuf has base64.
// Both are texts of the same alphabet, and a base64 text of 16 or 32 characters comes back
// unchanged from its bytes: so ids are read as base64, and repaired after.
#include "common/otlp.h"

#include <google/protobuf/util/json_util.h>

#include "common/base_n.h"

namespace faultline::otlp {
namespace {

template <typename Message>
Result<Message> Decode(std::string_view body, Encoding encoding, std::string_view name) {
  Message message;
  if (encoding == Encoding::kProtobuf) {
    if (body.size() > INT32_MAX ||
        !message.ParseFromArray(body.data(), static_cast<int>(body.size()))) {
      return Fail(ErrorCode::kInvalidArgument, "the body is not a protobuf {}", name);
    }
    return message;
  }
  google::protobuf::util::JsonParseOptions options;
  options.ignore_unknown_fields = true;
  const auto status =
      google::protobuf::util::JsonStringToMessage({body.data(), body.size()}, &message, options);
  if (!status.ok()) {
    return Fail(ErrorCode::kInvalidArgument, "the body is not a {} in JSON: {}", name,
                std::string_view(status.message().data(), status.message().size()));
  }
  return message;
}

void RepairId(std::string* id) {
  if (!id->empty()) *id = FromHex(ToBase64(*id));
}

// For EncodeJson: bytes whose base64 is the hexadecimal text. 16 and 8 bytes become 24 and 12.
std::string UnrepairId(std::string_view id) {
  std::string bytes;
  uint32_t word = 0;
  int bits = 0;
  for (const char c : ToHex(id)) {
    const uint32_t six =
        c >= 'a' ? static_cast<uint32_t>(c - 'a') + 26 : static_cast<uint32_t>(c - '0') + 52;
    word = word << 6 | six;
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      bytes += static_cast<char>(word >> bits & 0xff);
    }
  }
  return bytes;
}

template <typename Batches, typename Change>
void ChangeSpanIds(Batches* batches, const Change& change) {
  for (auto& resource : *batches) {
    for (auto& scope : *resource.mutable_scope_spans()) {
      for (v1::Span& span : *scope.mutable_spans()) {
        change(span.mutable_trace_id());
        change(span.mutable_span_id());
        change(span.mutable_parent_span_id());
        for (v1::Span::Link& link : *span.mutable_links()) {
          change(link.mutable_trace_id());
          change(link.mutable_span_id());
        }
      }
    }
  }
}

}  // namespace

Result<v1::ExportMetricsServiceRequest> DecodeMetrics(std::string_view body, Encoding encoding) {
  return Decode<v1::ExportMetricsServiceRequest>(body, encoding, "ExportMetricsServiceRequest");
}

Result<v1::ExportLogsServiceRequest> DecodeLogs(std::string_view body, Encoding encoding) {
  FAULTLINE_ASSIGN(auto request, Decode<v1::ExportLogsServiceRequest>(body, encoding,
                                                                      "ExportLogsServiceRequest"));
  if (encoding == Encoding::kJson) {
    for (v1::ResourceLogs& resource : *request.mutable_resource_logs()) {
      for (v1::ScopeLogs& scope : *resource.mutable_scope_logs()) {
        for (v1::LogRecord& record : *scope.mutable_log_records()) {
          RepairId(record.mutable_trace_id());
          RepairId(record.mutable_span_id());
        }
      }
    }
  }
  return request;
}

Result<v1::ExportTraceServiceRequest> DecodeTraces(std::string_view body, Encoding encoding) {
  FAULTLINE_ASSIGN(auto request, Decode<v1::ExportTraceServiceRequest>(
                                     body, encoding, "ExportTraceServiceRequest"));
  if (encoding == Encoding::kJson) ChangeSpanIds(request.mutable_resource_spans(), RepairId);
  return request;
}

Result<std::string> EncodeJson(const google::protobuf::Message& message) {
  std::string text;
  std::unique_ptr<google::protobuf::Message> copy;
  const google::protobuf::Message* from = &message;
  if (message.GetDescriptor() == v1::Trace::descriptor()) {
    copy.reset(message.New());
    copy->CopyFrom(message);
    ChangeSpanIds(static_cast<v1::Trace*>(copy.get())->mutable_batches(),
                  [](std::string* id) { *id = UnrepairId(*id); });
    from = copy.get();
  }
  const auto status = google::protobuf::util::MessageToJsonString(*from, &text);
  if (!status.ok()) {
    return Fail(ErrorCode::kInternal, "writing JSON: {}",
                std::string_view(status.message().data(), status.message().size()));
  }
  return text;
}

std::optional<Encoding> EncodingOf(std::string_view content_type) {
  if (content_type.starts_with("application/json")) return Encoding::kJson;
  if (content_type.starts_with("application/x-protobuf") ||
      content_type.starts_with("application/protobuf")) {
    return Encoding::kProtobuf;
  }
  return std::nullopt;
}

std::string_view ContentType(Encoding encoding) {
  return encoding == Encoding::kJson ? "application/json" : "application/x-protobuf";
}

std::string Encode(const google::protobuf::Message& message, Encoding encoding) {
  return encoding == Encoding::kJson ? EncodeJson(message).value_or("{}")
                                     : message.SerializeAsString();
}

std::string EncodeRefusal(int http_status, std::string_view message, Encoding encoding) {
  v1::RpcStatus status;
  status.set_code(http_status == 400   ? 3
                  : http_status == 429 ? 8
                  : http_status == 503 ? 14
                                       : 13);  // google.rpc.Code
  status.set_message(std::string(message));
  return Encode(status, encoding);
}

}  // namespace faultline::otlp
