// Which rules of the nodes an object of kind NodeCheck or ClusterCheck is about.
#pragma once

#include <boost/json.hpp>

#include "aggregator/objects/objects.h"
#include "faultline/v1/check.pb.h"

namespace faultline {

// spec.rules as it is, or the rules of the CheckRules objects that spec.rulesSelector chooses.
// kNotFound when it chooses none.
Result<v1::CheckSelector> ChooseRules(const boost::json::object& spec,
                                      const std::string& name_space, const Objects& objects);

}  // namespace faultline
