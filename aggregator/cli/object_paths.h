// Where kinds live in the API: any spelling people use (Experiment, experiment, experiments) to its path.
#pragma once

#include <string>

#include "aggregator/cli/api_client.h"
#include "common/result.h"

namespace faultline::cli {

struct KindPath {
  std::string kind;
  std::string plural;
};
Result<KindPath> FindKind(const ApiClient& client, const std::string& word);
// /apis/faultline.io/v1/namespaces/<ns>/<plural>[/<name>]; all namespaces if `name_space` is empty.
std::string ObjectPath(const KindPath& kind, const std::string& name_space, const std::string& name);

}  // namespace faultline::cli
