// RFC 7386: a patch is a document of what changes; null removes, an array replaces.
#pragma once

#include <boost/json.hpp>

namespace faultline {

void MergePatch(boost::json::value& target, const boost::json::value& patch);

}  // namespace faultline
