// What machines ask to know whether we live: liveness, readiness, our own metrics. Open without a token, since
// kubelets and scrapers have none; nothing here says anything about the nodes.
#include "aggregator/api/routes/routes.h"
#include "common/self_metrics.h"

namespace faultline::routes {
namespace {

Reply Text(int status, std::string body) {
  Reply reply;
  reply.status = status;
  reply.content_type = "text/plain; charset=utf-8";
  reply.body = std::move(body);
  return reply;
}

}  // namespace

Result<Reply> Healthz(const Request&, ApiContext&) { return Text(200, "ok\n"); }

Result<Reply> Readyz(const Request&, ApiContext& context) {
  if (context.ready && !context.ready()) return Text(503, "not ready\n");
  return Text(200, "ok\n");
}

Result<Reply> Metrics(const Request&, ApiContext& context) {
  if (context.self_metrics == nullptr) return Fail(ErrorCode::kUnavailable, "no metrics here");
  Reply reply = Text(200, context.self_metrics->Render());
  reply.content_type = "text/plain; version=0.0.4; charset=utf-8";
  return reply;
}

}  // namespace faultline::routes
