// The policies' word on an experiment. Every Policy object applies to every experiment; the
// strictest wins.
#pragma once

#include <set>
#include <string>
#include <vector>

#include <boost/json.hpp>

#include "aggregator/experiments/target_selection.h"
#include "common/result.h"

namespace faultline {

struct FleetUse {
  size_t nodes_all = 0;
  std::set<std::string> nodes_under_fault;  // of other experiments
};

// kPermissionDenied names the policy and the rule. `policies` are bodies of Policy objects.
Result<void> CheckBlastRadius(const std::vector<boost::json::object>& policies,
                              const ExperimentSpec& spec, const std::vector<Target>& targets,
                              const FleetUse& use);

}  // namespace faultline
