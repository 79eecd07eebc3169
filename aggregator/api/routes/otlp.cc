// OTLP/HTTP: metrics, logs and traces as any OpenTelemetry SDK or collector sends them. Answers
// once what was accepted is durable; what was refused is counted in partial_success; a refusal of
// the whole carries google.rpc.Status, in the encoding of the request.
#include "aggregator/otlp/otlp.h"

#include "aggregator/api/routes/append_and_wait.h"
#include "aggregator/api/routes/routes.h"
#include "aggregator/api/status.h"

namespace faultline::routes {
namespace {

Reply Encoded(const google::protobuf::Message& message, otlp::Encoding encoding) {
  Reply reply;
  reply.content_type = otlp::ContentType(encoding);
  reply.body = otlp::Encode(message, encoding);
  return reply;
}

Reply Refused(const Error& error, otlp::Encoding encoding) {
  Reply reply;
  // What may be sent again must be one of 429, 502, 503, 504 for exporters.
  reply.status =
      error.code == ErrorCode::kResourceExhausted ? 429 : StatusOf(error.code).prometheus_status;
  reply.content_type = otlp::ContentType(encoding);
  reply.body = otlp::EncodeRefusal(reply.status, error.message, encoding);
  if (reply.status == 429 || reply.status == 503) reply.headers.emplace_back("Retry-After", "1");
  return reply;
}

Result<void> AppendAll(ApiContext& context, const Request& request,
                       otlp::Translation& translation) {
  for (AppendBatch& batch : translation.batches)
    FAULTLINE_TRY(AppendAndWait(context, request, std::move(batch)));
  return {};
}

// `take` decodes and translates; `answer` puts the translation's refusals into a response.
template <typename Take, typename Answer>
Result<Reply> Receive(const Request& request, ApiContext& context, const Take& take,
                      const Answer& answer) {
  const auto encoding = otlp::EncodingOf(request.Header("content-type"));
  if (!encoding) {
    return RefusalReply(ErrorForm::kPrometheus, 415,
                        "content-type must be application/x-protobuf or application/json");
  }
  Result<otlp::Translation> translation = take(*encoding);
  if (!translation) return Refused(translation.error(), *encoding);
  if (auto written = AppendAll(context, request, *translation); !written)
    return Refused(written.error(), *encoding);
  return Encoded(answer(*translation), *encoding);
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
