// How the things that several routes speak of look in JSON.
#pragma once

#include <boost/json.hpp>

#include "aggregator/api/routes/route.h"
#include "aggregator/fleet.h"

namespace faultline::routes {

boost::json::object SubjectJson(const v1::Subject& subject);
boost::json::object NodeJson(const NodeState& node, int64_t now_unix_ns);

Reply JsonReply(const boost::json::value& value, int status = 200);
// {"status":"success","data":…}
Reply SuccessReply(boost::json::value value);
// RFC 3339, or seconds since 1970 with a fraction.
Result<int64_t> ParseTimeParameter(std::string_view name, std::string_view text);

}  // namespace faultline::routes
