// Reading JSON that somebody else made: missing or of another type is empty, never a crash.
#pragma once

#include <boost/json.hpp>
#include <string>
#include <string_view>

namespace faultline::cli {

// value.a.b.c for "a.b.c"; null if a part is missing.
const boost::json::value& At(const boost::json::value& value, std::string_view path);
// Strings as they are, numbers and booleans as text, "" for null.
std::string TextAt(const boost::json::value& value, std::string_view path);
double NumberAt(const boost::json::value& value, std::string_view path);
const boost::json::array& ArrayAt(const boost::json::value& value, std::string_view path);
// The condition of that type in status.conditions; null if there is none.
const boost::json::value& ConditionOf(const boost::json::value& object, std::string_view type);

}  // namespace faultline::cli
