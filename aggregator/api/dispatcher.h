// Everything about a request that is not a socket: who asks, for which route, decoded how, answered how, counted where.
// Two steps, because the first happens before the body is read and the second on a worker thread. Thread-safe.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "aggregator/api/audit_log.h"
#include "aggregator/api/router.h"
#include "aggregator/api/routes/route.h"
#include "aggregator/api/tokens.h"

namespace faultline {

// A request line and its headers as they came.
struct RequestHead {
  std::string method;
  std::string target;
  std::vector<std::pair<std::string, std::string>> headers;  // names in lower case
  std::string remote;
};

struct DispatcherOptions {
  std::string tokens;  // file; empty: everybody is admin, and only local names are answered
  size_t max_body_bytes = size_t{32} << 20;
  int64_t request_timeout_ns = 120 * kNsPerSecond;
};

class Dispatcher {
 public:
  static Result<std::unique_ptr<Dispatcher>> Make(const DispatcherOptions& options,
                                                  std::span<const Route> routes, ApiContext* context);

  struct Admission {
    const Route* route = nullptr;
    ErrorForm error_form = ErrorForm::kPrometheus;
    Request request;
    int64_t begin_steady_ns = 0;
    std::optional<Reply> refusal;  // answer this without reading the body
  };
  Admission Admit(RequestHead head);
  // Blocks. Adds nothing to the metrics: Finish does, once, whatever became of the request.
  Reply Run(Admission& admission, std::string body);
  void Finish(const Admission& admission, int status);
  // A connection or request that got no further: counted by reason.
  void Refused(const std::string& reason);

 private:
  Dispatcher(const DispatcherOptions& options, std::span<const Route> routes, ApiContext* context);
  std::optional<Reply> Authenticate(Admission& admission);
  Result<Reply> Handle(Admission& admission, std::string body);

  const DispatcherOptions options_;
  const Router router_;
  ApiContext* const context_;
  std::unique_ptr<TokenFile> tokens_;
  std::unique_ptr<AuditLog> audit_;
};

}  // namespace faultline
