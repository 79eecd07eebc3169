#include "aggregator/diagnosis/catalogue.h"

namespace faultline {
namespace {

constexpr DetectorRow kDetectors[] = {
    {"appeared", "a series that was not there before", MakeAppeared},
    {"level_shift", "a level left its baseline by many robust deviations and stayed away", MakeLevelShift},
    {"stopped", "a counter that always moved stands still", MakeStopped},
};

}  // namespace

std::span<const DetectorRow> DetectorCatalogue() { return kDetectors; }

}  // namespace faultline
