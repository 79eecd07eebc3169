#include "aggregator/objects/foreign/chaos_mesh_spec.h"

#include <algorithm>

#include "aggregator/objects/foreign/chaos_mesh_kinds.h"

namespace faultline::dialects {
namespace {

namespace json = boost::json;
using Need = FieldReader::Need;

constexpr std::string_view kLongestDuration = "1h";
constexpr std::string_view kMoment = "10s";  // of what happens once and is over

void Move(FieldReader& from, std::string_view name, json::object& to) {
  if (const json::value* value = from.Any(name); value != nullptr) to[name] = *value;
}

// metadata.name: a pod; spec.nodeName: a node; metadata.namespace. Other fields are not known here.
void ReadFields(FieldReader& fields, json::object& to, const std::string& name_space) {
  if (const json::string* space = fields.String("metadata.namespace"))
    to["namespaces"] = json::array{*space};
  if (const json::string* node = fields.String("spec.nodeName")) to["nodes"] = json::array{*node};
  if (const json::string* name = fields.String("metadata.name")) {
    json::array spaces = to.contains("namespaces") && to["namespaces"].is_array()
                             ? to["namespaces"].get_array()
                             : json::array{json::string(name_space)};
    json::object pods;
    for (const json::value& space : spaces) pods[TextOf(space)] = json::array{*name};
    to["pods"] = std::move(pods);
  }
  for (const auto& [name, value] : fields.object()) {
    const std::string_view field = name;
    if (field != "metadata.name" && field != "metadata.namespace" && field != "spec.nodeName") {
      return fields.Refuse(field, "cannot be honoured: that field of a pod is not known here");
    }
  }
}

void ReadSelector(FieldReader& from, json::object& to, const std::string& name_space) {
  for (const std::string_view name :
       {"namespaces", "labelSelectors", "expressionSelectors", "nodes", "nodeSelectors", "pods"}) {
    Move(from, name, to);
  }
  const bool named =
      to.contains("pods") && to["pods"].is_object() && !to["pods"].get_object().empty();
  from.Object("fieldSelectors", [&](FieldReader& fields) { ReadFields(fields, to, name_space); });
  RefuseFilled(from, "annotationSelectors",
               "cannot be honoured: annotations of pods are not known here");
  // Only running containers are ever chosen, so that Running asks for nothing more.
  for (const std::string& phase : from.Strings("podPhaseSelectors")) {
    if (phase != "Running")
      from.Refuse("podPhaseSelectors", "cannot be honoured: only Running pods are chosen");
  }
  // Pods that are named are meant whatever else is said.
  if (named) to = {{"pods", to["pods"]}};
  if (!to.contains("namespaces") && !to.contains("pods"))
    to["namespaces"] = json::array{json::string(name_space)};
}

void ReadPodTargets(FieldReader& spec, const std::string& name_space, TranslatedChaos& to) {
  json::object selector;
  spec.Object(
      "selector", [&](FieldReader& reader) { ReadSelector(reader, selector, name_space); },
      Need::kRequired);
  Move(spec, "containerNames", selector);
  // One of them, as manifests of version 1 had it.
  if (const json::string* one = spec.String("containerName"); one != nullptr && !one->empty())
    selector["containerNames"] = json::array{*one};
  to.spec["selector"] = std::move(selector);
}

void ReadOtherSide(FieldReader& spec, const std::string& name_space, TranslatedChaos& to) {
  spec.Object("target", [&](FieldReader& reader) {
    json::object target, other;
    reader.Object(
        "selector", [&](FieldReader& inner) { ReadSelector(inner, other, name_space); },
        Need::kRequired);
    target["selector"] = std::move(other);
    Move(reader, "mode", target);
    Move(reader, "value", target);
    to.spec["target"] = std::move(target);
  });
}

// Machines are nodes: by the address of their chaosd, or through PhysicalMachine objects.
void ReadMachineTargets(FieldReader& spec, TranslatedChaos& to) {
  json::array nodes;
  for (std::string address : spec.Strings("address")) {
    const size_t scheme = address.find("://");
    if (scheme != std::string::npos) address = address.substr(scheme + 3);
    nodes.push_back(json::string(address.substr(0, address.find(':'))));
  }
  json::object selector;
  spec.Object("selector", [&](FieldReader& reader) {
    json::object machines;
    Move(reader, "namespaces", machines);
    Move(reader, "labelSelectors", machines);
    Move(reader, "expressionSelectors", machines);
    Move(reader, "physicalMachines", machines);
    RefuseFilled(reader, "annotationSelectors", "cannot be honoured: choose machines by labels");
    RefuseFilled(reader, "fieldSelectors", "cannot be honoured: choose machines by labels");
    // Machines that are named are meant whatever else is said.
    if (const json::value* named = machines.if_contains("physicalMachines");
        named != nullptr && named->is_object() && !named->get_object().empty()) {
      machines = {{"physicalMachines", *named}};
    }
    if (!machines.empty()) selector["machines"] = std::move(machines);
  });
  if (!nodes.empty()) selector["nodes"] = std::move(nodes);
  if (selector.empty()) spec.Refuse("selector", "is missing, and so is address: one is needed");
  to.spec["selector"] = std::move(selector);
}

}  // namespace

std::vector<json::object> TranslatedChaos::Specs() const {
  std::vector<json::object> specs;
  for (const TranslatedFault& fault : faults) {
    json::object one = spec;
    one["fault"] = json::string(fault.fault);
    one["parameters"] = fault.parameters;
    specs.push_back(std::move(one));
  }
  return specs;
}

bool IsChaosKind(std::string_view kind) {
  return std::ranges::find(ChaosKinds(), kind, &ChaosKind::kind) != ChaosKinds().end();
}

std::string FieldOfKind(std::string_view kind) {
  if (kind == "PhysicalMachineChaos") return "physicalmachineChaos";
  if (kind == "Workflow") return "workflow";
  // The leading capitals of the name, but for the one that begins Chaos: NetworkChaos, HTTPChaos.
  const std::string name(kind.substr(0, kind.size() - std::string_view("Chaos").size()));
  std::string field;
  const bool all_upper =
      std::all_of(name.begin(), name.end(), [](char c) { return c >= 'A' && c <= 'Z'; });
  for (size_t i = 0; i < name.size(); ++i) {
    const bool lower = (all_upper || i == 0) && name[i] >= 'A' && name[i] <= 'Z';
    field += lower ? static_cast<char>(name[i] + 32) : name[i];
  }
  return field + "Chaos";
}

Result<TranslatedChaos> ReadChaos(std::string_view kind, FieldReader& spec,
                                  const std::string& name_space,
                                  std::string_view otherwise_duration) {
  const auto row = std::ranges::find(ChaosKinds(), kind, &ChaosKind::kind);
  if (row == ChaosKinds().end())
    return Fail(ErrorCode::kUnsupported, "kind: {} is no fault of Chaos Mesh", kind);
  TranslatedChaos chaos;
  Move(spec, "mode", chaos.spec);
  // Of JVMChaos it is the value that a method returns.
  if (kind != "JVMChaos") Move(spec, "value", chaos.spec);
  Move(spec, "duration", chaos.spec);
  if (row->selects_pods) ReadPodTargets(spec, name_space, chaos);
  if (kind == "NetworkChaos") ReadOtherSide(spec, name_space, chaos);
  if (kind == "PhysicalMachineChaos") {
    RefuseFilled(spec, "uid", "cannot be honoured: the name of an experiment is its identity here");
    ReadMachineTargets(spec, chaos);
  }
  RefuseFilled(spec, "remoteCluster", "cannot be honoured: other clusters are out of reach");
  spec.Object("scheduler", [&](FieldReader& scheduler) { chaos.cron = Word(scheduler, "cron"); });
  row->read(spec, chaos);
  FAULTLINE_TRY(spec.Done());
  if (chaos.faults.size() == 1) chaos.faults.front().suffix.clear();
  if (!chaos.spec.contains("duration")) {
    const std::string& fault = chaos.faults.front().fault;
    const bool moment = fault == "pod_kill" || fault == "container_kill" ||
                        fault == "process_kill" || fault.starts_with("host_");
    if (!otherwise_duration.empty()) {
      chaos.spec["duration"] = json::string(otherwise_duration);
    } else if (moment) {
      chaos.spec["duration"] = json::string(kMoment);
    } else {
      chaos.spec["duration"] = json::string(kLongestDuration);
      chaos.notes.push_back("it has no duration; here a fault always ends, this one after 1h");
    }
  }
  return chaos;
}

}  // namespace faultline::dialects
