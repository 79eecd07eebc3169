// The kinds that kind_catalogue.cc lists, one file each.
#pragma once

#include <boost/json.hpp>

#include "common/result.h"

namespace faultline::kinds {

Result<void> ValidateCheckRules(boost::json::object& body);
Result<void> ValidateClusterCheck(boost::json::object& body);
Result<void> ValidateExperiment(boost::json::object& body);
Result<void> ValidateLabel(boost::json::object& body);
Result<void> ValidateNodeCheck(boost::json::object& body);
Result<void> ValidatePolicy(boost::json::object& body);

}  // namespace faultline::kinds
