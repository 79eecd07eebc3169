// The leaves of this folder, for catalogue.cc.
#pragma once

#include <memory>

#include "aggregator/diagnosis/diagnosis.h"

namespace faultline {

std::unique_ptr<Detector> MakeAppeared();
std::unique_ptr<Detector> MakeLevelShift();
std::unique_ptr<Detector> MakeStopped();
std::unique_ptr<Ranker> MakeCauseRanker();

}  // namespace faultline
