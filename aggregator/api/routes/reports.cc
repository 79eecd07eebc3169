// /api/v1/reports: a node, or the cluster, as text, Markdown, HTML, JSON or YAML.
#include <algorithm>

#include "aggregator/api/routes/routes.h"
#include "aggregator/reports/reports.h"

namespace faultline::routes {
namespace {

// Where links lead: the host that the client used, when it is a plain one.
std::string OriginOf(const Request& request) {
  const std::string_view host = request.Header("host");
  const bool plain = !host.empty() && host.size() < 256 && std::ranges::all_of(host, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '-' || c == ':' || c == '[' || c == ']';
  });
  const bool tls = request.Header("x-forwarded-proto") == "https";
  return plain ? (tls ? "https://" : "http://") + std::string(host) : std::string();
}

Result<ReportSources> SourcesOf(const Request& request, const ApiContext& context) {
  if (context.fleet == nullptr) return Fail(ErrorCode::kUnavailable, "no fleet here");
  return ReportSources{context.fleet, context.store, context.ground_truth, context.clock, context.checks, context.objects, OriginOf(request)};
}

Result<Reply> Rendered(const Request& request, const Report& report) {
  std::string_view format = request.Parameter("format");
  if (format.empty()) format = request.Header("accept").find("text/html") != std::string_view::npos ? "html" : "json";
  Reply reply;
  FAULTLINE_ASSIGN(reply.body, RenderReport(report, format));
  reply.content_type = ReportContentType(format);
  // The page loads nothing and runs nothing, whatever names nodes and containers have.
  if (format == "html") reply.headers.emplace_back("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'");
  return reply;
}

}  // namespace

Result<Reply> NodeReport(const Request& request, ApiContext& context) {
  FAULTLINE_ASSIGN(const ReportSources sources, SourcesOf(request, context));
  FAULTLINE_ASSIGN(const Report report, MakeNodeReport(std::string(request.PathValue("node")), sources));
  return Rendered(request, report);
}

Result<Reply> ClusterReport(const Request& request, ApiContext& context) {
  FAULTLINE_ASSIGN(const ReportSources sources, SourcesOf(request, context));
  FAULTLINE_ASSIGN(const Report report, MakeClusterReport(sources));
  return Rendered(request, report);
}

Result<Reply> Home(const Request&, ApiContext&) {
  Reply reply;
  reply.status = 302;
  reply.content_type.clear();
  reply.headers.emplace_back("Location", "/api/v1/reports/cluster?format=html");
  return reply;
}

}  // namespace faultline::routes
