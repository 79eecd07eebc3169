// Label: ground truth by hand. What was wrong (fault, or a cause in free words), with whom, from when to when.
#include "aggregator/objects/field_reader.h"
#include "aggregator/objects/kinds.h"

namespace faultline::kinds {
namespace {

using Need = FieldReader::Need;

void ReadSpec(FieldReader& spec) {
  spec.String("fault", Need::kRequired);
  spec.String("node");
  spec.String("namespace");
  spec.String("pod");
  spec.String("container");
  spec.String("cgroup");
  const auto begin = spec.Time("begin", Need::kRequired);
  const auto end = spec.Time("end");
  if (begin && end && *end < *begin) spec.Refuse("end", "lies before begin");
  spec.StringMap("parameters");
  spec.String("source");
  spec.String("message");
}

}  // namespace

Result<void> ValidateLabel(boost::json::object& body) {
  FieldReader reader(body, "");
  for (const std::string_view common : {"apiVersion", "kind", "metadata", "status"}) reader.Any(common);
  reader.Object("spec", ReadSpec, Need::kRequired);
  return reader.Done();
}

}  // namespace faultline::kinds
