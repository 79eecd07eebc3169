#include "aggregator/api/routes/append_and_wait.h"

#include <condition_variable>
#include <memory>
#include <mutex>

namespace faultline::routes {

Result<void> AppendAndWait(ApiContext& context, const Request& request, AppendBatch&& batch) {
  struct Outcome {
    std::mutex mutex;
    std::condition_variable ready;
    std::optional<Result<void>> result;
  };
  const auto outcome = std::make_shared<Outcome>();  // `done` may come after we gave up
  context.store->Append(std::move(batch), [outcome](Result<void> result) {
    std::lock_guard lock(outcome->mutex);
    outcome->result = std::move(result);
    outcome->ready.notify_all();
  });
  const int64_t wait_ns = request.deadline_steady_ns == 0
                              ? 30 * kNsPerSecond
                              : request.deadline_steady_ns - context.clock->SteadyNs();
  std::unique_lock lock(outcome->mutex);
  if (!outcome->ready.wait_for(lock, std::chrono::nanoseconds(wait_ns),
                               [&] { return outcome->result.has_value(); })) {
    return Fail(ErrorCode::kTimeout, "the store did not make the write durable in time");
  }
  // A disk may have room again: senders keep what is "unavailable" and drop what is "too much".
  if (!*outcome->result && outcome->result->error().code == ErrorCode::kResourceExhausted)
    return Fail(ErrorCode::kUnavailable, "{}", outcome->result->error().message);
  return std::move(*outcome->result);
}

}  // namespace faultline::routes
