// From a selector and what the nodes reported to the targets that are hit. Pure: the same seed and
// the same fleet give the same targets, in any order of the nodes.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "aggregator/experiments/experiment_spec.h"
#include "aggregator/fleet.h"
#include "common/result.h"

namespace faultline {

// Label of a container in the inventory: its addresses, comma between them.
constexpr std::string_view kAddressLabel = "faultline.io/addresses";

struct Target {
  std::string
      id;  // node, node/namespace/pod/container, node/cgroup…, node/pid:4242, node/process:nginx
  std::string node;
  v1::Subject subject;
};

// All that match, by id. kNotFound says why nothing does.
Result<std::vector<Target>> FindTargets(const ExperimentSpec& spec,
                                        const std::vector<NodeState>& nodes);
// The addresses of those targets, as the nodes reported them; kNotFound names one that has none.
Result<std::vector<std::string>> AddressesOf(const std::vector<Target>& targets,
                                             const std::vector<NodeState>& nodes);
// Those of them that `mode` takes. kInvalidArgument for an unknown mode.
Result<std::vector<Target>> ChooseTargets(const ExperimentSpec& spec, std::vector<Target> targets,
                                          uint64_t seed);

}  // namespace faultline
