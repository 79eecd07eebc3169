// The magnitudes of the catalogue and who measures them.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "tests/support/fault_trial.h"

namespace faultline {

using EffectProbe = std::function<double()>;  // called while the fault is in force

struct EffectCase {
  std::string fault;
  std::string parameters;
  std::string what;
  double asked = 0;
  std::function<EffectProbe(FaultTrial&)> prepare;  // before it is injected
  bool at_once = false;                             // measured before the agent has verified
};

std::vector<EffectCase> EffectCases();
std::vector<EffectCase> NetworkEffectCases();
std::vector<EffectCase> FileEffectCases();
std::vector<EffectCase> ProcessEffectCases();

}  // namespace faultline
