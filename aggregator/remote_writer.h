// Sends what is stored on to another system by Prometheus' remote write 1.0. A bounded queue in memory and a thread per
// endpoint: full or old enough requests go out, are tried again while the other side is away (5xx, 429, no answer), and
// dropped, counted, when it refuses them (4xx) or the queue is full.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "aggregator/store/store.h"
#include "common/clock.h"
#include "common/self_metrics.h"

namespace faultline {

struct RemoteWriterOptions {
  std::string endpoint;
  size_t max_queued_samples = 1'000'000;
  size_t max_samples_per_send = 2'000;
  int64_t batch_deadline_ns = kNsPerSecond;
  int64_t timeout_ns = 30 * kNsPerSecond;
};

class RemoteWriter {
 public:
  RemoteWriter(RemoteWriterOptions options, Store* store, SelfMetrics* metrics);
  ~RemoteWriter();
  // Thread-safe, quick.
  void Add(const std::vector<AppendBatch::SampleRow>& samples);
  // Gives what is queued a short time to leave.
  void Stop();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace faultline
