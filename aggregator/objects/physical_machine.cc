// PhysicalMachine: a node by the name and labels that others gave it. `node` says which one it is;
// without it the name of the object, or the host of `address`, is the node's name.
#include "aggregator/objects/kinds.h"

namespace faultline::kinds {

namespace json = boost::json;
using Need = FieldReader::Need;

Result<void> ValidatePhysicalMachine(json::object& body) {
  FieldReader reader(body, "");
  for (const std::string_view common : {"apiVersion", "kind", "metadata", "status"})
    reader.Any(common);
  reader.Object(
      "spec",
      [](FieldReader& spec) {
        spec.String("address");
        spec.String("node");
      },
      Need::kRequired);
  return reader.Done();
}

}  // namespace faultline::kinds
