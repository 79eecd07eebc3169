// What the CheckRules objects mean for one node: the documents that it should have. Pure.
#pragma once

#include <map>
#include <string>

#include <boost/json.hpp>

#include "aggregator/fleet.h"
#include "faultline/v1/check.pb.h"

namespace faultline {

// namespace/name -> spec, of objects of kind CheckRules.
using RuleSpecs = std::map<std::string, boost::json::object>;

// Complete with hash; without documents the hash is empty, as that of a node that was never told
// any.
v1::SetCheckRules RulesFor(const NodeState& node, const RuleSpecs& specs,
                           const std::string& version);

}  // namespace faultline
