#include "aggregator/experiments/experiment_spec.h"

#include "common/clock.h"
#include "common/text.h"

namespace faultline {
namespace {

namespace json = boost::json;

const json::value* Find(const json::object& object, std::string_view name) {
  return object.if_contains(name);
}

std::string TextOf(const json::value& value) {
  if (value.is_string()) return std::string(value.get_string());
  return value.is_null() ? "" : json::serialize(value);
}

std::string TextAt(const json::object& object, std::string_view name) {
  const json::value* value = Find(object, name);
  return value != nullptr ? TextOf(*value) : "";
}

std::vector<std::string> ListAt(const json::object& object, std::string_view name) {
  std::vector<std::string> list;
  if (const json::value* value = Find(object, name); value != nullptr && value->is_array()) {
    for (const json::value& item : value->get_array()) list.push_back(TextOf(item));
  }
  return list;
}

std::map<std::string, std::string> MapAt(const json::object& object, std::string_view name) {
  std::map<std::string, std::string> map;
  if (const json::value* value = Find(object, name); value != nullptr && value->is_object()) {
    for (const auto& [key, item] : value->get_object()) map[std::string(key)] = TextOf(item);
  }
  return map;
}

Result<LabelSelector> ReadLabels(const json::object& object) {
  LabelSelector labels;
  for (const auto& [key, value] : MapAt(object, "labelSelectors")) labels.AddEqual(key, value);
  const json::value* list = Find(object, "expressionSelectors");
  if (list == nullptr || !list->is_array()) return labels;
  for (const json::value& item : list->get_array()) {
    if (!item.is_object())
      return Fail(ErrorCode::kInvalidArgument, "spec.selector.expressionSelectors: no object");
    const json::object& expression = item.get_object();
    FAULTLINE_TRY(labels.AddExpression(TextAt(expression, "key"), TextAt(expression, "operator"),
                                       ListAt(expression, "values")));
  }
  return labels;
}

std::map<std::string, std::vector<std::string>> NamesAt(const json::object& object,
                                                        std::string_view name) {
  std::map<std::string, std::vector<std::string>> names;
  if (const json::value* lists = Find(object, name); lists != nullptr && lists->is_object()) {
    for (const auto& [name_space, list] : lists->get_object())
      names[std::string(name_space)] = ListAt(lists->get_object(), name_space);
  }
  return names;
}

Result<TargetSelector> ReadSelector(const json::object& object) {
  TargetSelector selector;
  selector.nodes = ListAt(object, "nodes");
  selector.node_facts = MapAt(object, "nodeSelectors");
  selector.namespaces = ListAt(object, "namespaces");
  selector.containers = ListAt(object, "containerNames");
  selector.cgroups = ListAt(object, "cgroups");
  selector.processes = ListAt(object, "processes");
  FAULTLINE_ASSIGN(selector.labels, ReadLabels(object));
  selector.pods = NamesAt(object, "pods");
  if (const json::value* machines = Find(object, "machines");
      machines != nullptr && machines->is_object()) {
    MachineSelector& chosen = selector.machines.emplace();
    chosen.namespaces = ListAt(machines->get_object(), "namespaces");
    chosen.names = NamesAt(machines->get_object(), "physicalMachines");
    FAULTLINE_ASSIGN(chosen.labels, ReadLabels(machines->get_object()));
  }
  const int ways = (selector.SelectsContainers() ? 1 : 0) + (selector.cgroups.empty() ? 0 : 1) +
                   (selector.processes.empty() ? 0 : 1);
  if (ways > 1) {
    return Fail(ErrorCode::kInvalidArgument,
                "spec.selector: choose by pods and containers, by cgroups, or by processes, not by "
                "several of them");
  }
  return selector;
}

}  // namespace

Result<ExperimentSpec> ReadExperimentSpec(const json::object& body) {
  const json::value* found = Find(body, "spec");
  if (found == nullptr || !found->is_object())
    return Fail(ErrorCode::kInvalidArgument, "spec: is missing");
  const json::object& object = found->get_object();
  ExperimentSpec spec;
  spec.fault = TextAt(object, "fault");
  if (spec.fault.empty()) return Fail(ErrorCode::kInvalidArgument, "spec.fault: is missing");
  spec.parameters = MapAt(object, "parameters");
  spec.mode = TextAt(object, "mode").empty() ? "one" : TextAt(object, "mode");
  spec.mode_value = ParseInt(TextAt(object, "value")).value_or(0);
  const auto duration_ns = ParseDurationNs(TextAt(object, "duration"));
  if (!duration_ns || *duration_ns < kNsPerMs)
    return Fail(ErrorCode::kInvalidArgument, "spec.duration: is missing");
  spec.duration_ms = *duration_ns / kNsPerMs;
  spec.seed = ParseUint(TextAt(object, "seed"));
  spec.dry_run = TextAt(object, "dryRun") == "true";
  if (const json::value* selector = Find(object, "selector");
      selector != nullptr && selector->is_object()) {
    FAULTLINE_ASSIGN(spec.selector, ReadSelector(selector->get_object()));
  }
  if (const json::value* target = Find(object, "target"); target != nullptr && target->is_object()) {
    const json::object& other = target->get_object();
    OtherSide& side = spec.other_side.emplace();
    side.mode = TextAt(other, "mode").empty() ? "all" : TextAt(other, "mode");
    side.mode_value = ParseInt(TextAt(other, "value")).value_or(0);
    if (const json::value* selector = Find(other, "selector");
        selector != nullptr && selector->is_object()) {
      FAULTLINE_ASSIGN(side.selector, ReadSelector(selector->get_object()));
    }
  }
  if (const json::value* checks = Find(object, "steadyState");
      checks != nullptr && checks->is_array()) {
    for (const json::value& check : checks->get_array()) {
      if (!check.is_object()) continue;
      CheckSpec read = ReadCheckSpec(check.get_object());
      read.continuous = true;
      spec.steady_state.push_back(std::move(read));
    }
  }
  return spec;
}

}  // namespace faultline
