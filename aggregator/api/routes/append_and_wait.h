// Hands a batch to the store and waits until it is durable: what push and remote write answer with.
#pragma once

#include "aggregator/api/routes/route.h"
#include "aggregator/store/store.h"
#include "common/result.h"

namespace faultline::routes {

// kTimeout when the request's deadline passes first; the batch may still become durable then.
Result<void> AppendAndWait(ApiContext& context, const Request& request, AppendBatch&& batch);

}  // namespace faultline::routes
