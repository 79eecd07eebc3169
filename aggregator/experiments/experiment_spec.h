// The spec of an Experiment object, read from its JSON (already validated at the door by
// objects/experiment.cc).
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <boost/json.hpp>

#include "aggregator/experiments/status_checks.h"
#include "aggregator/objects/label_selector.h"
#include "common/result.h"

namespace faultline {

struct MachineSelector {
  std::vector<std::string> namespaces;
  LabelSelector labels;
  std::map<std::string, std::vector<std::string>> names;  // namespace -> names
};

// Whom to hit. What is empty does not restrict; a selector that is empty as a whole selects nobody.
struct TargetSelector {
  std::vector<std::string> nodes;                 // names, globs
  std::map<std::string, std::string> node_facts;  // nodeSelectors: facts of the node's inventory
  std::vector<std::string> namespaces;
  LabelSelector labels;                                  // labelSelectors and expressionSelectors
  std::map<std::string, std::vector<std::string>> pods;  // namespace -> names
  std::vector<std::string> containers;                   // containerNames
  std::vector<std::string> cgroups;                      // node-local paths, globs
  std::vector<std::string> processes;                    // pids or names
  // PhysicalMachine objects: resolved to nodes before anything is matched.
  std::optional<MachineSelector> machines;

  bool SelectsContainers() const {
    return !namespaces.empty() || !labels.empty() || !pods.empty() || !containers.empty();
  }
  bool SelectsNodes() const { return !nodes.empty() || !node_facts.empty(); }
};

// The other side of a network fault.
struct OtherSide {
  TargetSelector selector;
  std::string mode;
  int64_t mode_value = 0;
};

struct ExperimentSpec {
  std::string fault;
  std::map<std::string, std::string> parameters;
  TargetSelector selector;
  std::string mode;  // one, all, fixed, fixed-percent, random-max-percent
  int64_t mode_value = 0;
  int64_t duration_ms = 0;
  std::optional<uint64_t> seed;
  bool dry_run = false;
  std::optional<OtherSide> other_side;
  std::vector<CheckSpec> steady_state;  // a breach aborts
};

// kInvalidArgument names the field.
Result<ExperimentSpec> ReadExperimentSpec(const boost::json::object& body);

}  // namespace faultline
