#include "aggregator/objects/kinds.h"
#include "aggregator/objects/objects.h"

namespace faultline {
namespace {

constexpr ObjectKindRow kKinds[] = {
    {"CheckRules", "checkrules", "rules of health checks for nodes: our own, or files of other systems as they are",
     kinds::ValidateCheckRules, false},
    {"ClusterCheck", "clusterchecks", "checks on many nodes, once or by a schedule, compared across the fleet",
     kinds::ValidateClusterCheck, false},
    {"Experiment", "experiments", "one fault on chosen targets for a bounded time",
     kinds::ValidateExperiment, true},
    {"Label", "labels", "ground truth by hand: what was wrong with whom, and when", kinds::ValidateLabel, true},
    {"NodeCheck", "nodechecks", "chosen checks, once, on one node", kinds::ValidateNodeCheck, true},
    {"PhysicalMachine", "physicalmachines", "a node by another name, with labels to choose it by",
     kinds::ValidatePhysicalMachine, false},
    {"Policy", "policies", "blast radius: what experiments may never touch", kinds::ValidatePolicy, false},
    {"Schedule", "schedules", "experiments or workflows again and again, by a cron expression", kinds::ValidateSchedule,
     false},
    {"Workflow", "workflows", "experiments, checks and tasks one after the other or side by side",
     kinds::ValidateWorkflow, true},
};

}  // namespace

std::span<const ObjectKindRow> ObjectKindCatalogue() { return kKinds; }

}  // namespace faultline
