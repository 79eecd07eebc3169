// One run of checks on some nodes: who is asked when, what came back, and what that makes the
// status of the object. Pure.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <boost/json.hpp>

#include "aggregator/checks/outliers.h"
#include "aggregator/fleet.h"
#include "faultline/v1/check.pb.h"

namespace faultline {

enum class NodeRunPhase { kWaiting, kAsked, kDone, kFailed };

struct NodeRun {
  NodeRunPhase phase = NodeRunPhase::kWaiting;
  int64_t start_at_unix_ns = 0;
  std::string error;
  std::vector<v1::CheckResult> results;
};

struct FleetRun {
  int64_t start_unix_ns = 0;
  int64_t deadline_unix_ns = 0;
  std::map<std::string, NodeRun> nodes;

  bool Finished() const;
  size_t Count(NodeRunPhase phase) const;
  size_t Problems() const;
};

// Nodes that `selector` (nodes, excludeNodes: globs; facts: equal) chooses.
std::vector<std::string> ChooseNodes(const std::vector<NodeState>& fleet,
                                     const boost::json::value* selector);
// Starts are spread evenly over `stagger_ns`.
FleetRun PlanRun(const std::vector<std::string>& nodes, int64_t now_unix_ns, int64_t stagger_ns,
                 int64_t timeout_ns);

// `status` of a NodeCheck or ClusterCheck after `run`; `before` is its status until now (history,
// the last run's problems).
boost::json::object RunStatus(const FleetRun& run, const boost::json::object& before,
                              const std::vector<Outlier>& outliers, int64_t now_unix_ns,
                              size_t history_limit);
// As Aegis writes it: module -> [{item, condition, level, status, message}]; status true is a
// problem.
boost::json::object ResultInfos(const std::vector<v1::CheckResult>& results);

// What the nodes' facts and the results say, ready to be compared.
std::vector<Answers> GatherAnswers(const std::vector<NodeState>& fleet, const FleetRun& run);

}  // namespace faultline
