// Policy: the blast radius. Every policy applies to every experiment; the strictest word wins.
#include "aggregator/objects/field_reader.h"
#include "aggregator/objects/kinds.h"
#include "common/text.h"

namespace faultline::kinds {
namespace {

namespace json = boost::json;
using Need = FieldReader::Need;

// maxNodes: 3 or "20%".
void ReadMaxNodes(FieldReader& spec) {
  const json::value* value = spec.Any("maxNodes");
  if (value == nullptr) return;
  if (value->is_int64() && value->get_int64() >= 0) return;
  if (value->is_string()) {
    const std::string_view text = value->get_string();
    const auto percent = text.ends_with('%') ? ParseInt(text.substr(0, text.size() - 1)) : std::nullopt;
    if (percent && *percent >= 0 && *percent <= 100) return;
  }
  spec.Refuse("maxNodes", "expected a count such as 3 or a share such as \"20%\"");
}

void ReadPorts(FieldReader& spec) {
  const json::value* ports = spec.Any("protectedPorts");
  if (ports == nullptr) return;
  if (!ports->is_array()) {
    spec.Refuse("protectedPorts", "expected a list of port numbers");
    return;
  }
  for (const json::value& port : ports->get_array()) {
    if (!port.is_int64() || port.get_int64() < 1 || port.get_int64() > 65535) {
      spec.Refuse("protectedPorts", "each must be a port number from 1 to 65535");
    }
  }
}

void ReadSpec(FieldReader& spec) {
  ReadMaxNodes(spec);
  spec.Strings("protectedNodes");
  spec.Strings("protectedNamespaces");
  spec.Strings("protectedProcesses");
  spec.Strings("protectedUnits");
  spec.Strings("protectedPaths");
  ReadPorts(spec);
  for (const std::string& fault : spec.Strings("allowedFaults")) {
    if (!IsSnakeCase(fault)) spec.Refuse("allowedFaults", "'" + fault + "' is not a name in snake_case");
  }
  spec.Number("gatekeeperRatio", 0, 1);
}

}  // namespace

Result<void> ValidatePolicy(json::object& body) {
  FieldReader reader(body, "");
  for (const std::string_view common : {"apiVersion", "kind", "metadata", "status"}) reader.Any(common);
  reader.Object("spec", ReadSpec, Need::kRequired);
  return reader.Done();
}

}  // namespace faultline::kinds
