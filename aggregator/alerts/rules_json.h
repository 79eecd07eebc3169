// The answers of /api/v1/rules and /api/v1/alerts.
#pragma once

#include <boost/json.hpp>
#include <string_view>
#include <vector>

#include "aggregator/alerts/rule_group.h"

namespace faultline::alerts {

// `type` is empty, "alert" or "record".
boost::json::value RulesJson(const std::vector<GroupView>& groups, std::string_view type);
boost::json::value AlertsJson(const std::vector<GroupView>& groups);

}  // namespace faultline::alerts
