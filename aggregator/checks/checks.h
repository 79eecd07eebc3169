// Verdicts over the results that nodes send: conditions with history, kept over restarts, told to
// whoever wants to know. One thread; results arrive through a bounded queue, and what that had to
// refuse is read back from the store.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "aggregator/checks/node_health.h"
#include "aggregator/checks/priority_table.h"
#include "aggregator/fleet.h"
#include "aggregator/store/store.h"
#include "common/clock.h"
#include "common/result.h"
#include "common/self_metrics.h"

namespace faultline {

struct ChecksOptions {
  VerdictOptions verdict;
  int64_t ready_grace_ns =
      30 * kNsPerSecond;  // after start, before a known node that has not come back is NodeNotReady
};

class Checks {
 public:
  // All outlive this.
  Checks(Store* store, Fleet* fleet, SelfMetrics* metrics, const Clock* clock,
         const ChecksOptions& options);
  ~Checks();
  // What was remembered, and the results that came after it.
  Result<void> Load();
  void Start();
  void Stop();

  // From ingest, once the batch is durable. Never blocks.
  void OnResult(const std::string& node, const v1::CheckResult& result);

  std::optional<NodeHealth> Node(const std::string& node) const;
  std::vector<NodeHealth> Nodes() const;

  // Replaces the table; kept in the store. The error is `file:line: …`, and nothing changes.
  Result<void> SetPriorities(std::string_view text, std::string_view file);
  PriorityTable priorities() const;

  // Called from this thread for each change of a condition or fact; must not block. Before Start.
  using OnChange = std::function<void(const std::string& node, const v1::HealthChange&,
                                      const ConditionPriority&)>;
  void AddListener(OnChange on_change);

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

// Empty string for the priority file's own document.
constexpr std::string_view kPrioritiesDocument = "check_priorities";

}  // namespace faultline
