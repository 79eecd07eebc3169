// The faults of which an outside observer sees within milliseconds that they are in force, and how.
#pragma once

#include <string>
#include <vector>

#include "tests/support/fault_trial.h"

namespace faultline {

struct TruthCase {
  std::string fault;
  std::string parameters;
  std::string seen_by;
  // Made before the injection: whether it is in force, by one look.
  std::function<std::function<bool()>(FaultTrial&)> prepare;
  bool has_end = true;  // what is killed stays so
};

std::vector<TruthCase> TruthCases();
std::vector<TruthCase> NetworkTruthCases();
std::vector<TruthCase> HostTruthCases();

}  // namespace faultline
