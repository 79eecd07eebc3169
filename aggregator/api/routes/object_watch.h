// ?watch=true: changes of objects as JSON lines.
#pragma once

#include "aggregator/api/routes/route.h"
#include "aggregator/objects/objects.h"

namespace faultline::routes {

Result<Reply> WatchObjects(const Request& request, Objects& objects, const ObjectKindRow& row);
// fieldSelector: metadata.name and metadata.namespace are known; any other fits nothing.
bool FitsFieldSelector(const Request& request, const Object& object);

}  // namespace faultline::routes
