// CheckRules objects reach the nodes. A change goes to one node first, then to the others; each
// validates it as a whole before anything changes. When one refuses it, those that took it get the
// rules before it back, and the objects say who refused what and where. A node that was away gets
// what is in force when it says hello.
#pragma once

#include <memory>

#include "aggregator/fleet.h"
#include "aggregator/objects/objects.h"
#include "aggregator/store/store.h"
#include "common/clock.h"

namespace faultline {

class RulesPush {
 public:
  // All outlive this.
  RulesPush(Objects* objects, Store* store, Fleet* fleet, const Clock* clock);
  ~RulesPush();
  Result<void> Load();
  void Start();
  void Stop();

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace faultline
