// One loop by several threads: the caller works too, and others join it while there is enough to
// do. The helpers are a few threads for the whole process, so many queries at once do not make many
// threads.
#pragma once

#include <cstddef>
#include <functional>

#include "common/result.h"

namespace faultline::promql {

// Calls task(from, to) for consecutive parts of [0, count) of `grain` each, by up to `max_threads`
// threads. Returns when all are done, with the first failure; after one no new part is begun.
Result<void> RunParallel(size_t count, size_t grain, size_t max_threads,
                         const std::function<Result<void>(size_t from, size_t to)>& task);

}  // namespace faultline::promql
