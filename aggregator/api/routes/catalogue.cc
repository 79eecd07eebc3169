#include "aggregator/api/routes/routes.h"

namespace faultline {
namespace {

using namespace routes;

constexpr ErrorForm kPrometheus = ErrorForm::kPrometheus;

constexpr Route kRoutes[] = {
    {"GET", "/healthz", Role::kAnyone, kPrometheus, "whether this process lives", Healthz},
    {"GET", "/readyz", Role::kAnyone, kPrometheus, "whether it can take and answer", Readyz},
    {"GET", "/metrics", Role::kAnyone, kPrometheus, "the aggregator's own metrics", Metrics},
};

}  // namespace

std::span<const Route> RouteCatalogue() { return kRoutes; }

}  // namespace faultline
