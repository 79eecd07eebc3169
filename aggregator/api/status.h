// The one table from our error codes to HTTP, and the two bodies an error can have: Prometheus'
// {"status":"error",…} and Kubernetes' Status object.
#pragma once

#include <string>
#include <string_view>

#include "aggregator/api/routes/route.h"
#include "common/result.h"

namespace faultline {

struct StatusRow {
  ErrorCode code;
  int prometheus_status;
  std::string_view prometheus_type;
  int kubernetes_status;
  std::string_view kubernetes_reason;
};

const StatusRow& StatusOf(ErrorCode code);

// The reply for an error of a handler.
Reply ErrorReply(ErrorForm form, const Error& error);
// The reply for a request that never reached a handler (401, 405, 413 …).
Reply RefusalReply(ErrorForm form, int http_status, std::string_view message);

}  // namespace faultline
