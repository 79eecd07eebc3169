// OTLP/HTTP: metrics, logs and traces as any OpenTelemetry SDK or collector sends them. Answers once what was
// accepted is durable; what was refused is counted in partial_success; a refusal of the whole carries
// google.rpc.Status, in the encoding of the request.
#include "aggregator/otlp/otlp.h"

#include "aggregator/api/routes/append_and_wait.h"
#include "aggregator/api/routes/routes.h"
#include "aggregator/api/status.h"

namespace faultline::routes {
namespace {

constexpr std::string_view kProtobufType = "application/x-protobuf";
constexpr std::string_view kJsonType = "application/json";

std::optional<otlp::Encoding> EncodingOf(const Request& request) {
  const std::string_view type = request.Header("content-type");
  if (type.starts_with(kJsonType)) return otlp::Encoding::kJson;
  if (type.starts_with(kProtobufType) || type.starts_with("application/protobuf")) return otlp::Encoding::kProtobuf;
  return std::nullopt;
}

Reply Encoded(const google::protobuf::Message& message, otlp::Encoding encoding, int status) {
  Reply reply;
  reply.status = status;
  if (encoding == otlp::Encoding::kJson) {
    reply.content_type = kJsonType;
    reply.body = otlp::EncodeJson(message).value_or("{}");
  } else {
    reply.content_type = kProtobufType;
    message.SerializeToString(&reply.body);
  }
  return reply;
}

Reply Refused(const Error& error, otlp::Encoding encoding) {
  // What may be sent again must be one of 429, 502, 503, 504 for exporters.
  const int status = error.code == ErrorCode::kResourceExhausted ? 429 : StatusOf(error.code).prometheus_status;
  otlp::v1::RpcStatus body;
  body.set_code(status == 400 ? 3 : status == 429 ? 8 : status == 503 ? 14 : 13);  // google.rpc.Code
  body.set_message(error.message);
  Reply reply = Encoded(body, encoding, status);
  if (status == 429 || status == 503) reply.headers.emplace_back("Retry-After", "1");
  return reply;
}

Result<void> AppendAll(ApiContext& context, const Request& request, otlp::Translation& translation) {
  for (AppendBatch& batch : translation.batches)
    FAULTLINE_TRY(AppendAndWait(context, request, std::move(batch)));
  return {};
}

// `take` decodes and translates; `answer` puts the translation's refusals into a response.
template <typename Take, typename Answer>
Result<Reply> Receive(const Request& request, ApiContext& context, const Take& take, const Answer& answer) {
  const auto encoding = EncodingOf(request);
  if (!encoding) {
    return RefusalReply(ErrorForm::kPrometheus, 415,
                        "content-type must be application/x-protobuf or application/json");
  }
  Result<otlp::Translation> translation = take(*encoding);
  if (!translation) return Refused(translation.error(), *encoding);
  if (auto written = AppendAll(context, request, *translation); !written) return Refused(written.error(), *encoding);
  return Encoded(answer(*translation), *encoding, 200);
}

}  // namespace

Result<Reply> OtlpMetrics(const Request& request, ApiContext& context) {
  return Receive(
      request, context,
      [&](otlp::Encoding encoding) -> Result<otlp::Translation> {
        FAULTLINE_ASSIGN(const auto decoded, otlp::DecodeMetrics(request.body, encoding));
        return otlp::TranslateMetrics(decoded, *context.store, context.clock->UnixNs());
      },
      [](const otlp::Translation& translation) {
        otlp::v1::ExportMetricsServiceResponse response;
        if (translation.rejected > 0) {
          response.mutable_partial_success()->set_rejected_data_points(translation.rejected);
          response.mutable_partial_success()->set_error_message(translation.reason);
        }
        return response;
      });
}

Result<Reply> OtlpLogs(const Request& request, ApiContext& context) {
  return Receive(
      request, context,
      [&](otlp::Encoding encoding) -> Result<otlp::Translation> {
        FAULTLINE_ASSIGN(const auto decoded, otlp::DecodeLogs(request.body, encoding));
        return otlp::TranslateLogs(decoded, *context.store, context.clock->UnixNs());
      },
      [](const otlp::Translation& translation) {
        otlp::v1::ExportLogsServiceResponse response;
        if (translation.rejected > 0) {
          response.mutable_partial_success()->set_rejected_log_records(translation.rejected);
          response.mutable_partial_success()->set_error_message(translation.reason);
        }
        return response;
      });
}

Result<Reply> OtlpTraces(const Request& request, ApiContext& context) {
  return Receive(
      request, context,
      [&](otlp::Encoding encoding) -> Result<otlp::Translation> {
        FAULTLINE_ASSIGN(const auto decoded, otlp::DecodeTraces(request.body, encoding));
        return otlp::TranslateTraces(decoded);
      },
      [](const otlp::Translation& translation) {
        otlp::v1::ExportTraceServiceResponse response;
        if (translation.rejected > 0) {
          response.mutable_partial_success()->set_rejected_spans(translation.rejected);
          response.mutable_partial_success()->set_error_message(translation.reason);
        }
        return response;
      });
}

}  // namespace faultline::routes
