// A trace in the JSON of Jaeger's query API.
#pragma once

#include <boost/json.hpp>
#include <vector>

#include "aggregator/store/store.h"

namespace faultline::traces {

boost::json::value JaegerTrace(const std::vector<StoredSpan>& spans);

}  // namespace faultline::traces
