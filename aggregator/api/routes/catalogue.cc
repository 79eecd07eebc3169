#include "aggregator/api/routes/routes.h"

namespace faultline {
namespace {

using namespace routes;

constexpr ErrorForm kPrometheus = ErrorForm::kPrometheus;

constexpr Route kRoutes[] = {
    {"GET", "/healthz", Role::kAnyone, kPrometheus, "whether this process lives", Healthz},
    {"GET", "/readyz", Role::kAnyone, kPrometheus, "whether it can take and answer", Readyz},
    {"GET", "/metrics", Role::kAnyone, kPrometheus, "the aggregator's own metrics", Metrics},
    {"GET POST", "/api/v1/query", Role::kViewer, kPrometheus, "a PromQL expression at one time",
     PrometheusQuery},
    {"GET POST", "/api/v1/query_range", Role::kViewer, kPrometheus,
     "a PromQL expression over a range", PrometheusQueryRange},
    {"GET POST", "/api/v1/series", Role::kViewer, kPrometheus, "the series that selectors match",
     PrometheusSeries},
    {"GET POST", "/api/v1/labels", Role::kViewer, kPrometheus, "the names of labels",
     PrometheusLabels},
    {"GET", "/api/v1/label/{name}/values", Role::kViewer, kPrometheus, "the values of a label",
     PrometheusLabelValues},
    {"GET", "/api/v1/metadata", Role::kViewer, kPrometheus, "type and help of metrics",
     PrometheusMetadata},
    {"GET", "/api/v1/status/buildinfo", Role::kViewer, kPrometheus,
     "which Prometheus this API is equal to", PrometheusBuildInfo},
    {"POST", "/api/v1/write", Role::kOperator, kPrometheus, "remote write 1.0: snappy protobuf",
     RemoteWrite},
};

}  // namespace

std::span<const Route> RouteCatalogue() { return kRoutes; }

}  // namespace faultline
