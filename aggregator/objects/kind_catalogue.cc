#include "aggregator/objects/kinds.h"
#include "aggregator/objects/objects.h"

namespace faultline {
namespace {

constexpr ObjectKindRow kKinds[] = {
    {"Experiment", "experiments", "one fault on chosen targets for a bounded time",
     kinds::ValidateExperiment, true},
    {"Label", "labels", "ground truth by hand: what was wrong with whom, and when", kinds::ValidateLabel, true},
    {"Policy", "policies", "blast radius: what experiments may never touch", kinds::ValidatePolicy, false},
};

}  // namespace

std::span<const ObjectKindRow> ObjectKindCatalogue() { return kKinds; }

}  // namespace faultline
