// The handlers that catalogue.cc lists, one group per file of this folder.
#pragma once

#include "aggregator/api/routes/route.h"

namespace faultline::routes {

// probes.cc
Result<Reply> Healthz(const Request& request, ApiContext& context);
Result<Reply> Readyz(const Request& request, ApiContext& context);
Result<Reply> Metrics(const Request& request, ApiContext& context);

}  // namespace faultline::routes
