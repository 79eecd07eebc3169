// Experiment: one fault, its parameters, whom it hits and for how long. The fault's name is checked
// against what the chosen nodes can do when the experiment runs; here only its form is. The
// duration is mandatory: a fault without an end is refused. Annotations faultline.io/pause and
// faultline.io/abort ("true") steer a running experiment.
#include <string>

#include "aggregator/objects/field_reader.h"
#include "aggregator/objects/kinds.h"
#include "common/clock.h"
#include "common/text.h"

namespace faultline::kinds {
namespace {

namespace json = boost::json;
using Need = FieldReader::Need;

constexpr int64_t kMaxDurationNs = int64_t{24} * 3600 * kNsPerSecond;

void ReadExpression(FieldReader& expression) {
  expression.String("key", Need::kRequired);
  if (!expression.Has("operator")) expression.Refuse("operator", "is missing");
  const std::string word =
      expression.Word("operator", {"In", "NotIn", "Exists", "DoesNotExist"}, "");
  const bool has_values = !expression.Strings("values").empty();
  if ((word == "In" || word == "NotIn") && !has_values) expression.Refuse("values", "is missing");
  if ((word == "Exists" || word == "DoesNotExist") && has_values) {
    expression.Refuse("values", "must be absent with " + word);
  }
}

// processes: pids or names; cgroups: paths below the cgroup root.
void ReadProcesses(FieldReader& selector) {
  json::value* processes = selector.Any("processes");
  if (processes == nullptr) return;
  if (!processes->is_array()) {
    selector.Refuse("processes", "expected a list of pids and process names");
    return;
  }
  for (json::value& process : processes->get_array()) {
    const bool pid = process.is_int64() && process.get_int64() > 0;
    const bool name = process.is_string() && !process.get_string().empty();
    if (!pid && !name) selector.Refuse("processes", "each must be a pid or a process name");
    if (pid) process = json::string(std::to_string(process.get_int64()));
  }
}

// PhysicalMachine objects, by their labels or names.
void ReadMachines(FieldReader& machines) {
  machines.Strings("namespaces");
  machines.StringMap("labelSelectors");
  machines.Objects("expressionSelectors", ReadExpression);
  machines.StringLists("physicalMachines");
}

void ReadSelector(FieldReader& selector) {
  selector.Strings("namespaces");
  selector.StringMap("labelSelectors");
  selector.Objects("expressionSelectors", ReadExpression);
  selector.Strings("nodes");
  selector.StringMap("nodeSelectors");
  selector.StringLists("pods");  // namespace: [names]
  selector.Strings("containerNames");
  ReadProcesses(selector);
  selector.Object("machines", ReadMachines);
  for (const std::string& cgroup : selector.Strings("cgroups")) {
    if (cgroup.front() != '/')
      selector.Refuse("cgroups", "'" + cgroup + "' does not start with a slash");
    if (cgroup == "/")
      selector.Refuse("cgroups", "the root cgroup is the whole node: choose it by nodes");
  }
}

void ReadMode(FieldReader& spec) {
  const std::string mode =
      spec.Word("mode", {"one", "all", "fixed", "fixed-percent", "random-max-percent"}, "one");
  json::value* value = spec.Any("value");
  const bool counted = mode == "fixed" || mode == "fixed-percent" || mode == "random-max-percent";
  if (!counted) {
    if (value != nullptr && !(value->is_string() && value->get_string().empty())) {
      spec.Refuse("value", "means nothing with mode " + mode);
    }
    return;
  }
  if (value == nullptr) {
    spec.Refuse("value", "is missing; mode " + mode + " needs it");
    return;
  }
  if (value->is_int64()) *value = json::string(std::to_string(value->get_int64()));
  const auto number =
      value->is_string() ? ParseInt(std::string_view(value->get_string())) : std::nullopt;
  const int64_t max = mode == "fixed" ? 1'000'000 : 100;
  if (!number || *number < 1 || *number > max) {
    spec.Refuse("value", "expected a whole number from 1 to " + std::to_string(max));
  }
}

// What the parameters' fault takes is checked on the node; here a.b stands for what is nested, and
// a list for its JSON.
void ReadParameters(FieldReader& spec) {
  json::value* parameters = spec.Any("parameters");
  if (parameters == nullptr) return;
  if (!parameters->is_object()) return spec.Refuse("parameters", "expected an object");
  json::object flat;
  std::vector<std::pair<std::string, json::value>> pending;
  for (const auto& [name, value] : parameters->get_object()) pending.emplace_back(name, value);
  while (!pending.empty()) {
    const auto [name, value] = std::move(pending.back());
    pending.pop_back();
    if (value.is_object() && !StaysWhole(name) && name.size() < 256) {
      for (const auto& [inner, item] : value.get_object())
        pending.emplace_back(name + "." + std::string(inner), item);
    } else if (value.is_array() || value.is_object()) {
      flat[name] = json::string(json::serialize(value));
    } else {
      flat[name] = value;
    }
  }
  *parameters = std::move(flat);
  spec.StringMap("parameters");
}

void ReadTarget(FieldReader& target) {
  target.Object("selector", ReadSelector, Need::kRequired);
  ReadMode(target);
}

}  // namespace

void ReadExperimentFields(FieldReader& spec) {
  const json::string* fault = spec.String("fault", Need::kRequired);
  if (fault != nullptr && !fault->empty() && !IsSnakeCase(*fault)) {
    spec.Refuse("fault", "expected a name in snake_case such as cpu_stress");
  }
  ReadParameters(spec);
  spec.Object("selector", ReadSelector, Need::kRequired);
  ReadMode(spec);
  spec.Object("target", ReadTarget);  // the other side of a network fault
  const auto duration_ns = spec.DurationNs("duration", Need::kRequired);
  if (duration_ns && *duration_ns > kMaxDurationNs) spec.Refuse("duration", "is longer than 24h");
  spec.Integer("seed", 0, INT64_MAX);
  spec.Boolean("dryRun");
  spec.Objects("steadyState", ReadStatusCheckFields);
}

Result<void> ValidateExperiment(json::object& body) {
  FieldReader reader(body, "");
  for (const std::string_view common : {"apiVersion", "kind", "metadata", "status"})
    reader.Any(common);
  reader.Object("spec", ReadExperimentFields, Need::kRequired);
  return reader.Done();
}

}  // namespace faultline::kinds
