// The handlers that catalogue.cc lists, one group per file of this folder.
#pragma once

#include "aggregator/api/routes/route.h"

namespace faultline::routes {

// probes.cc
Result<Reply> Healthz(const Request& request, ApiContext& context);
Result<Reply> Readyz(const Request& request, ApiContext& context);
Result<Reply> Metrics(const Request& request, ApiContext& context);

// prometheus.cc
Result<Reply> PrometheusQuery(const Request& request, ApiContext& context);
Result<Reply> PrometheusQueryRange(const Request& request, ApiContext& context);
Result<Reply> PrometheusSeries(const Request& request, ApiContext& context);
Result<Reply> PrometheusLabels(const Request& request, ApiContext& context);
Result<Reply> PrometheusLabelValues(const Request& request, ApiContext& context);
Result<Reply> PrometheusMetadata(const Request& request, ApiContext& context);
Result<Reply> PrometheusBuildInfo(const Request& request, ApiContext& context);

// remote_write.cc
Result<Reply> RemoteWrite(const Request& request, ApiContext& context);

}  // namespace faultline::routes
