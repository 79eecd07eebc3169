// Aegis' health checks become NodeCheck and ClusterCheck, its rules CheckRules. There the checks
// run in a pod of a given template; here they run on the node by its agent, so the template is kept
// with the object and an annotation says so. Rules live in ConfigMaps there: those become
// CheckRules with the same labels, which ruleConfigmapSelector then chooses.
#include <string>

#include "aggregator/objects/field_reader.h"
#include "aggregator/objects/foreign/dialect.h"

namespace faultline::dialects {
namespace {

namespace json = boost::json;
using Need = FieldReader::Need;

void Move(FieldReader& from, std::string_view name, json::object& to, std::string_view as = "") {
  if (json::value* value = from.Any(name); value != nullptr && !value->is_null())
    to[as.empty() ? name : as] = *value;
}

json::object Finish(const json::object& manifest, std::string_view kind, json::object spec,
                    std::string_view note) {
  json::object metadata = manifest.at("metadata").as_object();
  json::value& annotations = metadata["annotations"];
  if (!annotations.is_object()) annotations = json::object();
  const std::string from = std::string(manifest.at("apiVersion").as_string()) + " " +
                           std::string(manifest.at("kind").as_string());
  annotations.as_object()["faultline.io/translated-from"] = json::string(from);
  if (!note.empty()) annotations.as_object()["faultline.io/translation-note"] = json::string(note);
  return {{"apiVersion", "faultline.io/v1"},
          {"kind", kind},
          {"metadata", std::move(metadata)},
          {"spec", std::move(spec)}};
}

constexpr std::string_view kTemplateNote =
    "the pod template is kept; the checks run on the node, by its agent";

}  // namespace

Result<std::vector<json::object>> TranslateAegis(json::object& manifest) {
  const std::string kind(manifest.at("kind").as_string());
  const bool node = kind == "AegisNodeHealthCheck", cluster = kind == "AegisClusterHealthCheck",
             rules = kind == "AegisCheckRule";
  if (!node && !cluster && !rules) {
    return Fail(ErrorCode::kUnsupported,
                "kind: {} of aegis.io/v1alpha1 cannot be honoured here (AegisNodeHealthCheck, "
                "AegisClusterHealthCheck and "
                "AegisCheckRule are translated)",
                kind);
  }
  FieldReader reader(manifest, "");
  for (const std::string_view common : {"apiVersion", "kind", "metadata", "status"})
    reader.Any(common);
  json::value* value = reader.Any("spec", Need::kRequired);
  FAULTLINE_TRY(reader.Done());
  if (!value->is_object()) return Fail(ErrorCode::kInvalidArgument, "spec: expected an object");
  FieldReader spec(value->get_object(), "spec");
  json::object ours;
  bool has_template = false;
  if (rules) {
    Move(spec, "rules", ours);
    Move(spec, "nodeSelector", ours);
  } else {
    Move(spec, "ruleConfigmapSelector", ours, "rulesSelector");
    Move(spec, "timeout", ours);
    Move(spec, "template", ours);
    has_template = ours.contains("template");
    Move(spec, node ? "node" : "schedule", ours);
    // An empty selector selects everything, which is what its absence says here.
    if (const json::value* selector = ours.if_contains("rulesSelector");
        selector != nullptr && selector->is_object() && selector->get_object().empty()) {
      ours.erase("rulesSelector");
    }
  }
  FAULTLINE_TRY(spec.Done());
  return std::vector<json::object>{Finish(manifest,
                                          node      ? "NodeCheck"
                                          : cluster ? "ClusterCheck"
                                                    : "CheckRules",
                                          std::move(ours), has_template ? kTemplateNote : "")};
}

Result<std::vector<json::object>> TranslateConfigMap(json::object& manifest) {
  const std::string kind(manifest.at("kind").as_string());
  if (kind != "ConfigMap")
    return Fail(ErrorCode::kUnsupported, "kind: {} of v1 is none that is taken here (ConfigMap is)",
                kind);
  FieldReader reader(manifest, "");
  for (const std::string_view common : {"apiVersion", "kind", "metadata", "immutable"})
    reader.Any(common);
  if (reader.Has("binaryData")) {
    reader.Any("binaryData");
    reader.Refuse("binaryData", "cannot be honoured: rule files are text");
  }
  reader.StringMap("data");
  json::value* texts = reader.Any("data", Need::kRequired);
  FAULTLINE_TRY(reader.Done());
  return std::vector<json::object>{Finish(manifest, "CheckRules", {{"files", *texts}}, "")};
}

}  // namespace faultline::dialects
