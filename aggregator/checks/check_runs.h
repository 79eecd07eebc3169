// NodeCheck and ClusterCheck objects become runs on nodes: once, or when their schedule says. One
// thread; replies and changes of objects come through a bounded queue. A run that a restart of the
// aggregator cut off is started again.
#pragma once

#include <memory>

#include "aggregator/fleet.h"
#include "aggregator/objects/objects.h"
#include "common/clock.h"

namespace faultline {

class CheckRuns {
 public:
  // All outlive this.
  CheckRuns(Objects* objects, Fleet* fleet, const Clock* clock);
  ~CheckRuns();
  void Start();
  void Stop();

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace faultline
