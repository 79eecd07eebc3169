#include "aggregator/api/dispatcher.h"

#include <algorithm>
#include <array>
#include <exception>

#include "aggregator/api/form.h"
#include "common/gzip.h"
#include "common/loopback.h"
#include "aggregator/api/status.h"
#include "common/log.h"
#include "common/self_metrics.h"
#include "common/text.h"

namespace faultline {
namespace {

constexpr size_t kMinCompressedBytes = 1400;  // one packet: below it gzip saves nothing
constexpr std::array<std::string_view, 7> kMethods = {"GET",   "HEAD",   "POST",   "PUT",
                                                      "PATCH", "DELETE", "OPTIONS"};

// A page elsewhere on the web may make a browser call us. Without tokens the Host and Origin headers are what
// tells such a call (DNS rebinding, cross-site request) from a local one.
bool IsLocalName(std::string_view authority) {
  if (authority.starts_with("http://")) authority.remove_prefix(7);
  if (authority.starts_with("https://")) authority.remove_prefix(8);
  return IsLoopback(authority);
}

std::string_view MediaType(std::string_view content_type) {
  return Trim(content_type.substr(0, content_type.find(';')));
}

std::string LowerCase(std::string_view text) {
  std::string lower(text);
  std::ranges::transform(lower, lower.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return lower;
}

Reply OptionsReply(const std::string& allow) {
  Reply reply;
  reply.status = 204;
  reply.headers.emplace_back("Allow", allow);
  return reply;
}

void CompressReply(const Request& request, Reply& reply) {
  if (reply.stream != nullptr || reply.body.size() < kMinCompressedBytes) return;
  if (request.Header("accept-encoding").find("gzip") == std::string_view::npos) return;
  for (const auto& [name, value] : reply.headers) {
    if (LowerCase(name) == "content-encoding") return;
  }
  std::string compressed = Gzip(reply.body);
  if (compressed.size() >= reply.body.size()) return;
  reply.body = std::move(compressed);
  reply.headers.emplace_back("Content-Encoding", "gzip");
  reply.headers.emplace_back("Vary", "Accept-Encoding");
}

}  // namespace

Dispatcher::Dispatcher(const DispatcherOptions& options, std::span<const Route> routes,
                       ApiContext* context)
    : options_(options), router_(routes), context_(context) {
  if (context->store != nullptr) {
    audit_ = std::make_unique<AuditLog>(context->store, context->clock);
  }
}

Result<std::unique_ptr<Dispatcher>> Dispatcher::Make(const DispatcherOptions& options,
                                                     std::span<const Route> routes,
                                                     ApiContext* context) {
  std::unique_ptr<Dispatcher> dispatcher(new Dispatcher(options, routes, context));
  if (!options.tokens.empty()) {
    FAULTLINE_ASSIGN(dispatcher->tokens_, TokenFile::Open(options.tokens));
  }
  return dispatcher;
}

std::optional<Reply> Dispatcher::Authenticate(Admission& admission) {
  Request& request = admission.request;
  if (tokens_ == nullptr) {
    request.principal = "anonymous";
    request.role = Role::kAdmin;
    const std::string_view host = request.Header("host"), origin = request.Header("origin");
    if ((!host.empty() && !IsLocalName(host)) || (!origin.empty() && !IsLocalName(origin))) {
      return RefusalReply(admission.error_form, 403,
                          "without security.tokens only local names are answered (Host, Origin)");
    }
    return std::nullopt;
  }
  request.principal = "anonymous";
  request.role = Role::kAnyone;
  std::string_view authorization = request.Header("authorization");
  if (!authorization.empty()) {
    const std::string scheme = LowerCase(NextWord(authorization));
    const auto identity = scheme == "bearer" ? tokens_->Find(Trim(authorization), admission.begin_steady_ns)
                                             : std::nullopt;
    if (identity) {
      request.principal = identity->principal;
      request.role = identity->role;
    }
  }
  if (admission.route == nullptr || request.role >= admission.route->role) {
    if (admission.route != nullptr || request.role > Role::kAnyone) return std::nullopt;
  }
  if (request.role == Role::kAnyone) {
    Reply reply = RefusalReply(admission.error_form, 401, "a valid bearer token is needed");
    reply.headers.emplace_back("WWW-Authenticate", "Bearer realm=\"faultline\"");
    return reply;
  }
  return RefusalReply(admission.error_form, 403,
                      fmt::format("{} has role {}; {} {} needs {}", request.principal,
                                  RoleName(request.role), request.method, request.path,
                                  RoleName(admission.route->role)));
}

Dispatcher::Admission Dispatcher::Admit(RequestHead head) {
  Admission admission;
  admission.begin_steady_ns = context_->clock->SteadyNs();
  Request& request = admission.request;
  request.method = std::move(head.method);
  request.remote = std::move(head.remote);
  request.headers = std::move(head.headers);
  request.deadline_steady_ns = admission.begin_steady_ns + options_.request_timeout_ns;
  const std::string_view target = head.target;
  if (target.starts_with("/apis")) admission.error_form = ErrorForm::kKubernetes;
  const auto refuse = [&](int status, std::string_view reason) {
    admission.refusal = RefusalReply(admission.error_form, status, reason);
  };
  const size_t question = target.find('?');
  const auto parts = DecodePath(target.substr(0, question));
  if (!parts) {
    refuse(400, parts.error().message);
    return admission;
  }
  request.path = fmt::format("/{}", fmt::join(*parts, "/"));
  if (std::ranges::find(kMethods, request.method) == kMethods.end()) {
    refuse(405, "unknown method");
    return admission;
  }
  Router::Match match = router_.Find(request.method, *parts);
  admission.route = match.route;
  if (match.route != nullptr) admission.error_form = match.route->error_form;
  request.path_values = std::move(match.path_values);
  admission.refusal = Authenticate(admission);
  if (admission.refusal) return admission;
  if (match.allow.empty()) {
    refuse(404, fmt::format("no such path: {}", request.path));
  } else if (request.method == "OPTIONS") {
    admission.refusal = OptionsReply(match.allow);
  } else if (match.route == nullptr) {
    refuse(405, fmt::format("{} is not allowed on {}", request.method, request.path));
    admission.refusal->headers.emplace_back("Allow", match.allow);
  } else if (question != std::string_view::npos) {
    const auto decoded = DecodeForm(target.substr(question + 1), request.parameters);
    if (!decoded) refuse(400, "query string: " + decoded.error().message);
  }
  return admission;
}

Result<Reply> Dispatcher::Handle(Admission& admission, std::string body) {
  Request& request = admission.request;
  const std::string encoding = LowerCase(request.Header("content-encoding"));
  if (encoding == "gzip") {
    FAULTLINE_ASSIGN(body, Gunzip(body, options_.max_body_bytes));
  } else if (!encoding.empty() && encoding != "identity" && encoding != "snappy") {
    return RefusalReply(admission.error_form, 415, "content-encoding must be gzip or identity");
  }
  request.body = std::move(body);
  if (MediaType(request.Header("content-type")) == "application/x-www-form-urlencoded") {
    if (auto decoded = DecodeForm(request.body, request.parameters); !decoded) {
      return Within("form body", decoded.error());
    }
  }
  return admission.route->handler(request, *context_);
}

Reply Dispatcher::Run(Admission& admission, std::string body) {
  Result<Reply> result = Reply();
  // Handlers return errors; what escapes as an exception comes from a library below one.
  try {
    result = Handle(admission, std::move(body));
  } catch (const std::exception& exception) {
    result = Fail(ErrorCode::kInternal, "{}", exception.what());
  }
  Reply reply = result ? std::move(*result) : ErrorReply(admission.error_form, result.error());
  if (reply.status >= 500 && LogAllowed("http " + std::string(admission.route->path))) {
    spdlog::warn("{} {} answered {}: {}", admission.request.method, admission.request.path,
                 reply.status, result ? "" : result.error().message);
  }
  if (admission.route->audited && audit_ != nullptr) {
    const Request& request = admission.request;
    const auto written = audit_->Append({request.principal, std::string(RoleName(request.role)),
                                         request.remote, request.method, request.path, reply.status});
    if (!written && LogAllowed("audit")) {
      spdlog::error("audit log: {}", written.error().message);
    }
  }
  CompressReply(admission.request, reply);
  return reply;
}

void Dispatcher::Finish(const Admission& admission, int status) {
  SelfMetrics* metrics = context_->self_metrics;
  if (metrics == nullptr) return;
  static const std::vector<double> kBounds = {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1,
                                              0.25,  0.5,    1,     2.5,  5,     10,   30};
  const std::string route =
      admission.route != nullptr ? std::string(admission.route->path) : std::string("none");
  const bool known = std::ranges::find(kMethods, admission.request.method) != kMethods.end();
  metrics->GetCounter("faultline_http_requests_total", "Requests answered, by route, method and status.",
                      {{"route", route},
                       {"method", known ? admission.request.method : "other"},
                       {"code", std::to_string(status)}})
      .Add();
  const int64_t elapsed_ns = context_->clock->SteadyNs() - admission.begin_steady_ns;
  metrics->GetHistogram("faultline_http_request_duration_seconds",
                        "Time from the header of a request to its answer.", kBounds, {{"route", route}})
      .Observe(static_cast<double>(elapsed_ns) / 1e9);
}

void Dispatcher::Refused(const std::string& reason) {
  if (context_->self_metrics == nullptr) return;
  context_->self_metrics
      ->GetCounter("faultline_http_refused_total",
                   "Connections and requests cut off before they reached a route, by reason.",
                   {{"reason", reason}})
      .Add();
}

}  // namespace faultline
