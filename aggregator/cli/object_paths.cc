#include "aggregator/cli/object_paths.h"

#include <algorithm>

#include "aggregator/cli/json_path.h"

namespace faultline::cli {

Result<KindPath> FindKind(const ApiClient& client, const std::string& word) {
  std::string lower = word;
  std::transform(lower.begin(), lower.end(), lower.begin(), [](unsigned char c) { return std::tolower(c); });
  FAULTLINE_ASSIGN(const auto list, client.Json("GET", "/apis/faultline.io/v1"));
  std::string known;
  for (const auto& resource : ArrayAt(list, "resources")) {
    if (lower == TextAt(resource, "name") || lower == TextAt(resource, "singularName")) {
      return KindPath{TextAt(resource, "kind"), TextAt(resource, "name")};
    }
    known += " " + TextAt(resource, "name");
  }
  return Fail(ErrorCode::kInvalidArgument, "no kind is named '{}'; there are nodes, ground-truth and:{}", word, known);
}

std::string ObjectPath(const KindPath& kind, const std::string& name_space, const std::string& name) {
  std::string path = "/apis/faultline.io/v1";
  if (!name_space.empty()) path += "/namespaces/" + UrlEncode(name_space);
  path += "/" + kind.plural;
  if (!name.empty()) path += "/" + UrlEncode(name);
  return path;
}

}  // namespace faultline::cli
