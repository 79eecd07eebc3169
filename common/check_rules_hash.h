// The hash that names a set of check rules, the same on both sides of the wire: sha256 over name, contract and text of each
// document in order, each behind its length.
#pragma once

#include <string>

#include "faultline/v1/check.pb.h"

namespace faultline {

// 64 hex digits. `version` and `hash` of `rules` take no part.
std::string CheckRulesHash(const v1::SetCheckRules& rules);

}  // namespace faultline
