// Runs Workflow and Schedule objects: makes the Experiments (and workflows) they consist of,
// follows them, and keeps their status. One thread of its own.
#pragma once

#include <memory>

#include "aggregator/experiments/status_checks.h"
#include "aggregator/objects/objects.h"
#include "common/clock.h"

namespace faultline {

class Workflows {
 public:
  // All outlive it.
  Workflows(Objects* objects, CheckRunner* checks, const Clock* clock);
  ~Workflows();
  void Start();
  void Stop();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace faultline
