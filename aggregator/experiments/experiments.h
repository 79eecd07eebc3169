// Turns Experiment objects into faults on nodes and keeps their status: select targets, check the
// policy, send InjectFault, follow replies and FaultTransitions, recover on delete, pause, abort
// and halt. One thread of its own; methods are thread-safe.
#pragma once

#include <memory>
#include <string>

#include "aggregator/fleet.h"
#include "aggregator/labels/ground_truth.h"
#include "aggregator/objects/objects.h"
#include "common/clock.h"
#include "common/result.h"

namespace faultline {

class CheckRunner;

class Experiments {
 public:
  Experiments(Objects* objects, Fleet* fleet, GroundTruth* ground_truth, const Clock* clock);
  ~Experiments();
  // Before Start: who asks the steady-state checks; without it they are not asked.
  void UseChecks(CheckRunner* checks);
  void Start();
  void Stop();
  // Every fault on every node, now; returns how many nodes were told. New injections are refused
  // until Resume.
  Result<int> Halt(const std::string& principal);
  Result<void> Resume(const std::string& principal);
  bool halted() const;
  // From ingest, once durable.
  void OnTransition(const std::string& node, const v1::FaultTransition& transition);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace faultline
