// Manifests of other systems, translated at the door into objects of our own. Add a dialect: a file here and a row in
// dialect_catalogue.cc. What cannot be honoured is refused by its name, with the reason; nothing is dropped in silence.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include <boost/json.hpp>

#include "common/result.h"

namespace faultline {

struct DialectRow {
  std::string_view api_version;  // chaos-mesh.org/v1alpha1
  std::string_view doc;
  // One manifest may make several objects. Errors name the foreign field.
  Result<std::vector<boost::json::object>> (*translate)(boost::json::object& manifest) = nullptr;
};
std::span<const DialectRow> DialectCatalogue();

namespace dialects {
Result<std::vector<boost::json::object>> TranslateAegis(boost::json::object& manifest);
Result<std::vector<boost::json::object>> TranslateConfigMap(boost::json::object& manifest);
Result<std::vector<boost::json::object>> TranslateChaosMesh(boost::json::object& manifest);
}

}  // namespace faultline
