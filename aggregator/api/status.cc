#include "aggregator/api/status.h"

#include <array>

#include <boost/json.hpp>

#include "common/text.h"

namespace faultline {
namespace {

constexpr std::array<StatusRow, 10> kRows = {{
    {ErrorCode::kNotFound, 404, "not_found", 404, "NotFound"},
    {ErrorCode::kInvalidArgument, 400, "bad_data", 422, "Invalid"},
    {ErrorCode::kPermissionDenied, 403, "forbidden", 403, "Forbidden"},
    {ErrorCode::kUnavailable, 503, "unavailable", 503, "ServiceUnavailable"},
    {ErrorCode::kTimeout, 503, "timeout", 504, "Timeout"},
    {ErrorCode::kResourceExhausted, 422, "execution", 429, "TooManyRequests"},
    {ErrorCode::kCorruption, 500, "internal", 500, "InternalError"},
    {ErrorCode::kUnsupported, 422, "bad_data", 422, "Invalid"},
    {ErrorCode::kInternal, 500, "internal", 500, "InternalError"},
    {ErrorCode::kConflict, 409, "conflict", 409, "Conflict"},
}};

struct RefusalRow {
  int status;
  std::string_view prometheus_type;
  std::string_view kubernetes_reason;
};

constexpr std::array<RefusalRow, 13> kRefusals = {{
    {400, "bad_data", "BadRequest"},
    {401, "unauthorized", "Unauthorized"},
    {403, "forbidden", "Forbidden"},
    {404, "not_found", "NotFound"},
    {405, "bad_data", "MethodNotAllowed"},
    {408, "timeout", "Timeout"},
    {411, "bad_data", "BadRequest"},
    {413, "bad_data", "RequestEntityTooLarge"},
    {415, "bad_data", "UnsupportedMediaType"},
    {431, "bad_data", "BadRequest"},
    {500, "internal", "InternalError"},
    {503, "unavailable", "ServiceUnavailable"},
    {504, "timeout", "Timeout"},
}};

Reply Body(ErrorForm form, int http_status, std::string_view type, std::string_view reason,
           std::string_view message) {
  // JSON must be UTF-8, and messages quote what clients sent.
  const std::string text = ReplaceInvalidUtf8(message);
  boost::json::object body;
  if (form == ErrorForm::kPrometheus) {
    body = {{"status", "error"}, {"errorType", type}, {"error", text}};
  } else {
    body = {{"kind", "Status"},   {"apiVersion", "v1"}, {"metadata", boost::json::object()},
            {"status", "Failure"}, {"message", text},    {"reason", reason},
            {"code", http_status}};
  }
  Reply reply;
  reply.status = http_status;
  reply.body = boost::json::serialize(body) + "\n";
  return reply;
}

}  // namespace

const StatusRow& StatusOf(ErrorCode code) {
  for (const StatusRow& row : kRows) {
    if (row.code == code) return row;
  }
  return StatusOf(ErrorCode::kInternal);
}

Reply ErrorReply(ErrorForm form, const Error& error) {
  const StatusRow& row = StatusOf(error.code);
  const int http_status =
      form == ErrorForm::kPrometheus ? row.prometheus_status : row.kubernetes_status;
  return Body(form, http_status, row.prometheus_type, row.kubernetes_reason, error.message);
}

Reply RefusalReply(ErrorForm form, int http_status, std::string_view message) {
  for (const RefusalRow& row : kRefusals) {
    if (row.status == http_status) {
      return Body(form, http_status, row.prometheus_type, row.kubernetes_reason, message);
    }
  }
  return Body(form, http_status, "internal", "InternalError", message);
}

}  // namespace faultline
