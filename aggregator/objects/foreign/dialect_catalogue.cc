#include "aggregator/objects/foreign/dialect.h"

namespace faultline {
namespace {

constexpr DialectRow kDialects[] = {
    {"chaos-mesh.org/v1alpha1", "Chaos Mesh: StressChaos, PodChaos (pod-failure)", dialects::TranslateChaosMesh},
};

}  // namespace

std::span<const DialectRow> DialectCatalogue() { return kDialects; }

}  // namespace faultline
