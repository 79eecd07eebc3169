// Tells another program of each change of a condition: one POST of JSON per change, in order, at
// least once, tried again with growing pauses. What waits is kept in the store, so a kill of the
// aggregator forgets none. Bounded: when the other side is away for long, the oldest go first and
// are counted.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "aggregator/checks/priority_table.h"
#include "aggregator/store/store.h"
#include "common/clock.h"
#include "common/result.h"
#include "common/self_metrics.h"
#include "faultline/v1/health.pb.h"

namespace faultline {

// {"node", "condition", "status", "previous", "reason", "message", "level", "priority",
// "affectsLoad", "rule", "time", …}
std::string ChangeJson(const std::string& node, const v1::HealthChange& change,
                       const ConditionPriority& priority);

class ChangeSender {
 public:
  using Post = std::function<Result<void>(const std::string& body)>;
  // `post` blocks for a few seconds at most and is called by one thread.
  ChangeSender(Post post, Store* store, SelfMetrics* metrics,
               int64_t first_pause_ns = kNsPerSecond);
  ~ChangeSender();
  // Takes up what waited when the last one ended; before the first Add.
  Result<void> Load();
  void Start();
  void Stop();
  // One durable write to the store. One that fails is logged, and told all the same while we live.
  void Add(std::string body);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace faultline
