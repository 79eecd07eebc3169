// The names of what faults make on a host (tables, chains, sets, cgroups, links, files): they say
// whose they are, so that a sweep finds what a crash left and touches nothing else.
//   flt<home 4 hex><uid 8 hex>, 15 characters: short enough for the name of a network device.
#pragma once

#include <string>
#include <string_view>

namespace faultline {

// All things of the agent whose journal is in `home` begin with this.
std::string HomeTag(std::string_view home);
// One fault's.
std::string FaultTag(std::string_view home, std::string_view fault_uid);

}  // namespace faultline
