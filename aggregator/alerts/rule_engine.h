// Evaluates rule files for as long as it lives: a few threads, each group when it is due, never twice at a time.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "aggregator/alerts/notifier.h"
#include "aggregator/alerts/rule_group.h"
#include "common/clock.h"
#include "common/self_metrics.h"

namespace faultline::alerts {

class RuleEngine {
 public:
  // `world.send` is set here; everything pointed to outlives the engine.
  RuleEngine(RuleWorld world, Notifier* notifier, SelfMetrics* metrics, const Clock* clock);
  ~RuleEngine();

  // Reads the files that the globs match; an error names file and place, and then nothing changes. Also the reload.
  Result<void> Load(const std::vector<std::string>& globs);
  void Start();
  void Stop();

  std::vector<GroupView> Views() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Regular files below the patterns, sorted. A pattern without wildcards must name a file.
Result<std::vector<std::string>> ExpandGlobs(const std::vector<std::string>& globs);

}  // namespace faultline::alerts
