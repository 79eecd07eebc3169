// The door for agents: authenticate (the transport did), validate, translate the session's references into the store's ids,
// queue for the store, acknowledge once durable. One thread owns the transport; store threads hand their verdicts back to
// it through a queue. See common/WIRE.md.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "aggregator/fleet.h"
#include "aggregator/store/store.h"
#include "common/clock.h"
#include "common/result.h"
#include "common/self_metrics.h"
#include "common/transport.h"

namespace faultline {

struct IngestOptions {
  uint32_t max_batch_bytes = 4u << 20;           // compressed
  uint32_t max_batch_decoded_bytes = 32u << 20;
  uint32_t max_series_per_node = 100'000;
  uint32_t max_batches_in_flight = 64;
  uint32_t max_samples_per_s = 200'000;          // of one node, on average over kRateWindowS; more comes again later
  int64_t max_future_ns = 600 * kNsPerSecond;    // samples from further ahead are refused and counted
};

// Who wants to know of what became durable; called from ingest's thread.
struct IngestListeners {
  std::function<void(const std::string& node, const v1::FaultTransition&, int64_t clock_offset_ns)>
      on_transition;
  std::function<void(const std::string& node, const v1::CheckResult&)> on_check;
};

class Ingest {
 public:
  // All outlive the ingest. Takes the transport.
  Ingest(std::unique_ptr<ServerTransport> transport, Store* store, Fleet* fleet, SelfMetrics* metrics,
         const Clock* clock, const IngestOptions& options, IngestListeners listeners);
  ~Ingest();
  void Start();
  // Waits for what the store still owes, acknowledges it, and ends the thread.
  void Stop();
  std::string endpoint() const;

 private:
  class Loop;
  std::unique_ptr<Loop> loop_;
};

}  // namespace faultline
