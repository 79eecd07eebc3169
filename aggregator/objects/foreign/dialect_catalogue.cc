#include "aggregator/objects/foreign/dialect.h"

namespace faultline {
namespace {

constexpr DialectRow kDialects[] = {
    {"aegis.io/v1alpha1", "Aegis: AegisNodeHealthCheck, AegisClusterHealthCheck, AegisCheckRule", dialects::TranslateAegis},
    {"chaos-mesh.org/v1alpha1", "Chaos Mesh: every kind of fault, Schedule, Workflow, StatusCheck, PhysicalMachine", dialects::TranslateChaosMesh},
    {"v1", "ConfigMap with rule files of Aegis, node-problem-detector, NHC", dialects::TranslateConfigMap},
};

}  // namespace

std::span<const DialectRow> DialectCatalogue() { return kDialects; }

}  // namespace faultline
