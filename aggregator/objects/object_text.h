// From text to checked bodies: YAML or JSON, lists taken apart, foreign dialects translated, metadata checked.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <boost/json.hpp>

#include "common/result.h"

namespace faultline {

// Errors name document, field and place of the text.
Result<std::vector<boost::json::object>> ParseObjects(std::string_view text);

// Checks apiVersion, kind, metadata and the kind's own rules, fills defaults in, drops what is the registry's to say.
Result<void> ValidateObject(boost::json::object& body);

std::map<std::string, std::string> LabelsOf(const boost::json::object& body);

}  // namespace faultline
