// Chaos Mesh's StressChaos becomes cpu_stress and memory_stress, PodChaos' pod-failure becomes process_stop (the pod is
// there and does not answer). A manifest without duration lasts until it is deleted there; here a fault always ends,
// so it gets one hour, and an annotation says so.
#include <string>

#include "aggregator/objects/field_reader.h"
#include "aggregator/objects/foreign/dialect.h"

namespace faultline::dialects {
namespace {

namespace json = boost::json;
using Need = FieldReader::Need;

constexpr std::string_view kLongestDuration = "1h";

// What a Chaos Mesh spec says whatever its kind; the rest is the kind's.
struct Common {
  json::object spec;          // selector, mode, value, duration of ours
  std::string note;           // what a reader should know about the translation
};

void Move(FieldReader& from, std::string_view name, json::object& to) {
  if (json::value* value = from.Any(name); value != nullptr) to[name] = *value;
}

void RefuseFilled(FieldReader& from, std::string_view name, std::string_view reason) {
  const json::value* value = from.Any(name);
  if (value == nullptr) return;
  const bool empty = (value->is_array() && value->get_array().empty()) ||
                     (value->is_object() && value->get_object().empty()) ||
                     (value->is_string() && value->get_string().empty());
  if (!empty) from.Refuse(name, reason);
}

void ReadSelector(FieldReader& from, json::object& to) {
  for (const std::string_view name : {"namespaces", "labelSelectors", "expressionSelectors", "nodes",
                                      "nodeSelectors", "pods"}) {
    Move(from, name, to);
  }
  RefuseFilled(from, "fieldSelectors", "cannot be honoured: fields of pods are not known here");
  RefuseFilled(from, "annotationSelectors", "cannot be honoured: annotations of pods are not known here");
  // Only running containers are ever chosen, so that Running asks for nothing more.
  for (const std::string& phase : from.Strings("podPhaseSelectors")) {
    if (phase != "Running") from.Refuse("podPhaseSelectors", "cannot be honoured: only Running pods are chosen");
  }
}

Common ReadCommon(FieldReader& from, const std::string& name_space) {
  Common common;
  json::object selector;
  from.Object("selector", [&](FieldReader& reader) { ReadSelector(reader, selector); }, Need::kRequired);
  if (!selector.contains("namespaces") && !selector.contains("pods")) {
    selector["namespaces"] = json::array{json::string(name_space)};
  }
  Move(from, "containerNames", selector);
  common.spec["selector"] = std::move(selector);
  Move(from, "mode", common.spec);
  Move(from, "value", common.spec);
  Move(from, "duration", common.spec);
  if (!common.spec.contains("duration")) {
    common.spec["duration"] = json::string(kLongestDuration);
    common.note = "it has no duration; here a fault always ends, this one after 1h";
  }
  RefuseFilled(from, "remoteCluster", "cannot be honoured: other clusters are out of reach");
  return common;
}

json::object Finish(const json::object& manifest, const Common& common, std::string_view suffix,
                    std::string_view fault, json::object parameters) {
  json::object metadata = manifest.at("metadata").as_object();
  if (!suffix.empty()) {
    metadata["name"] = json::string(std::string(metadata.at("name").as_string()) + std::string(suffix));
  }
  json::value& annotations = metadata["annotations"];
  if (!annotations.is_object()) annotations = json::object();
  annotations.as_object()["faultline.io/translated-from"] =
      json::string("chaos-mesh.org/v1alpha1 " + std::string(manifest.at("kind").as_string()));
  if (!common.note.empty()) annotations.as_object()["faultline.io/translation-note"] = json::string(common.note);
  if (const auto* pause = annotations.as_object().if_contains("experiment.chaos-mesh.org/pause")) {
    annotations.as_object()["faultline.io/pause"] = json::value(*pause);
  }
  json::object spec = common.spec;
  spec["fault"] = json::string(fault);
  spec["parameters"] = std::move(parameters);
  return {{"apiVersion", "faultline.io/v1"},
          {"kind", "Experiment"},
          {"metadata", std::move(metadata)},
          {"spec", std::move(spec)}};
}

void ReadStressor(FieldReader& from, std::initializer_list<std::string_view> names, json::object& to) {
  for (const std::string_view name : names) Move(from, name, to);
  RefuseFilled(from, "options", "cannot be honoured: these are options of stress-ng, which is not used here");
}

Result<std::vector<json::object>> Stress(json::object& manifest, FieldReader& spec, const std::string& name_space) {
  const Common common = ReadCommon(spec, name_space);
  json::object cpu, memory;
  bool has_cpu = false, has_memory = false;
  RefuseFilled(spec, "stressngStressors", "cannot be honoured: stress-ng is not used here; say it as stressors");
  spec.Object("stressors", [&](FieldReader& stressors) {
    stressors.Object("cpu", [&](FieldReader& reader) {
      has_cpu = true;
      ReadStressor(reader, {"workers", "load"}, cpu);
    });
    stressors.Object("memory", [&](FieldReader& reader) {
      has_memory = true;
      ReadStressor(reader, {"workers", "size", "oomScoreAdj"}, memory);
    });
    if (!has_cpu && !has_memory) stressors.Refuse("cpu", "is missing, and so is memory: one is needed");
  }, Need::kRequired);
  FAULTLINE_TRY(spec.Done());
  const bool both = has_cpu && has_memory;
  std::vector<json::object> objects;
  if (has_cpu) objects.push_back(Finish(manifest, common, both ? "-cpu" : "", "cpu_stress", std::move(cpu)));
  if (has_memory) {
    objects.push_back(Finish(manifest, common, both ? "-memory" : "", "memory_stress", std::move(memory)));
  }
  return objects;
}

Result<std::vector<json::object>> Pod(json::object& manifest, FieldReader& spec, const std::string& name_space) {
  const json::string* action = spec.String("action", Need::kRequired);
  if (action != nullptr && *action != "pod-failure") {
    spec.Refuse("action", "'" + std::string(*action) + "' cannot be honoured: no fault of this version kills pods or containers");
  }
  const Common common = ReadCommon(spec, name_space);
  spec.Any("gracePeriod");  // of pod-kill; means nothing with pod-failure
  FAULTLINE_TRY(spec.Done());
  return std::vector<json::object>{Finish(manifest, common, "", "process_stop", {})};
}

}  // namespace

Result<std::vector<json::object>> TranslateChaosMesh(json::object& manifest) {
  const std::string kind(manifest.at("kind").as_string());
  if (kind != "StressChaos" && kind != "PodChaos") {
    return Fail(ErrorCode::kUnsupported,
                "kind: {} of chaos-mesh.org/v1alpha1 cannot be honoured: this version has no such fault "
                "(StressChaos and PodChaos are translated)", kind);
  }
  std::string name_space = "default";
  if (const json::value* value = manifest.at("metadata").as_object().if_contains("namespace")) {
    if (value->is_string()) name_space = std::string(value->get_string());
  }
  FieldReader reader(manifest, "");
  for (const std::string_view common : {"apiVersion", "kind", "metadata", "status"}) reader.Any(common);
  Result<std::vector<json::object>> objects = std::vector<json::object>();
  json::value* spec = reader.Any("spec", Need::kRequired);
  FAULTLINE_TRY(reader.Done());
  if (!spec->is_object()) return Fail(ErrorCode::kInvalidArgument, "spec: expected an object");
  FieldReader fields(spec->get_object(), "spec");
  return kind == "StressChaos" ? Stress(manifest, fields, name_space) : Pod(manifest, fields, name_space);
}

}  // namespace faultline::dialects
