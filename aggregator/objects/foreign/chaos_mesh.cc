// Manifests of Chaos Mesh: each fault becomes an Experiment (or several, when it asks for several
// things), Schedules and Workflows keep their form with Experiments inside, a StatusCheck becomes a
// Workflow of one step. A manifest without duration lasts until it is deleted there; here a fault
// always ends, so it gets one hour, and an annotation says so.
#include <string>

#include "aggregator/objects/field_reader.h"
#include "aggregator/objects/foreign/chaos_mesh_spec.h"
#include "aggregator/objects/foreign/dialect.h"
#include "aggregator/objects/objects.h"

namespace faultline::dialects {
namespace {

namespace json = boost::json;
using Need = FieldReader::Need;
using Objects = std::vector<json::object>;

json::object Finish(const json::object& manifest, std::string_view kind, std::string_view suffix,
                    const std::vector<std::string>& notes, json::object spec) {
  json::object metadata = manifest.at("metadata").as_object();
  if (!suffix.empty()) {
    metadata["name"] =
        json::string(std::string(metadata.at("name").as_string()) + std::string(suffix));
  }
  json::value& annotations = metadata["annotations"];
  if (!annotations.is_object()) annotations = json::object();
  annotations.as_object()["faultline.io/translated-from"] =
      json::string("chaos-mesh.org/v1alpha1 " + std::string(manifest.at("kind").as_string()));
  std::string note;
  for (const std::string& one : notes) note += (note.empty() ? "" : "; ") + one;
  if (!note.empty()) annotations.as_object()["faultline.io/translation-note"] = json::string(note);
  if (const auto* pause = annotations.as_object().if_contains("experiment.chaos-mesh.org/pause")) {
    annotations.as_object()["faultline.io/pause"] = json::value(*pause);
  }
  if (const auto* abort = annotations.as_object().if_contains("workflow.chaos-mesh.org/abort")) {
    annotations.as_object()["faultline.io/abort"] = json::value(*abort);
  }
  return {{"apiVersion", kApiVersion},
          {"kind", kind},
          {"metadata", std::move(metadata)},
          {"spec", std::move(spec)}};
}

void Move(FieldReader& from, std::string_view name, json::object& to, std::string_view as = "") {
  if (const json::value* value = from.Any(name); value != nullptr)
    to[as.empty() ? name : as] = *value;
}

// Several experiments of one manifest inside of a schedule or a template: a workflow of their own,
// side by side.
json::object SideBySide(const std::vector<json::object>& specs) {
  json::array templates, children;
  for (size_t i = 0; i < specs.size(); ++i) {
    const std::string name = "part-" + std::to_string(i + 1);
    children.push_back(json::string(name));
    templates.push_back({{"name", name}, {"templateType", "Experiment"}, {"experiment", specs[i]}});
  }
  templates.push_back({{"name", "all"}, {"templateType", "Parallel"}, {"children", children}});
  return {{"entry", "all"}, {"templates", templates}};
}

Result<json::object> ReadWorkflow(FieldReader& spec, const std::string& name_space,
                                  std::vector<std::string>& notes);

// The spec of `kind` in the field that is named after it, as an experiment or a workflow of ours.
Result<void> ReadInner(FieldReader& from, const std::string& kind, const std::string& path,
                       const std::string& name_space, std::string_view deadline,
                       std::vector<std::string>& notes, json::object& to) {
  const std::string field = FieldOfKind(kind);
  json::value* value = from.Any(field, Need::kRequired);
  if (value == nullptr || !value->is_object()) return {};
  FieldReader inner(value->get_object(), path + "." + field);
  if (kind == "Workflow") {
    FAULTLINE_ASSIGN(json::object workflow, ReadWorkflow(inner, name_space, notes));
    to["workflow"] = std::move(workflow);
    return {};
  }
  FAULTLINE_ASSIGN(const TranslatedChaos chaos, ReadChaos(kind, inner, name_space, deadline));
  notes.insert(notes.end(), chaos.notes.begin(), chaos.notes.end());
  std::vector<json::object> specs = chaos.Specs();
  if (specs.size() == 1) {
    to["experiment"] = std::move(specs.front());
  } else {
    to["workflow"] = SideBySide(specs);
  }
  return {};
}

Result<json::object> ReadSchedule(FieldReader& spec, const std::string& path,
                                  const std::string& name_space, std::vector<std::string>& notes) {
  json::object schedule;
  Move(spec, "schedule", schedule, "cron");
  if (!schedule.contains("cron")) spec.Refuse("schedule", "is missing");
  for (const std::string_view name :
       {"startingDeadlineSeconds", "concurrencyPolicy", "historyLimit"})
    Move(spec, name, schedule);
  const json::string* type = spec.String("type", Need::kRequired);
  if (type != nullptr && !IsChaosKind(*type) && *type != "Workflow") {
    spec.Refuse("type", "'" + std::string(*type) + "' cannot be scheduled");
  } else if (type != nullptr) {
    FAULTLINE_TRY(ReadInner(spec, std::string(*type), path, name_space, "", notes, schedule));
  }
  FAULTLINE_TRY(spec.Done());
  return schedule;
}

// A container to run: its command runs on a node.
void ReadTask(FieldReader& task, json::object& to, std::vector<std::string>& notes) {
  task.Object(
      "container",
      [&](FieldReader& container) {
        json::array command;
        for (const std::string_view name : {"command", "args"}) {
          for (const std::string& word : container.Strings(name))
            command.push_back(json::string(word));
        }
        if (command.empty())
          container.Refuse("command",
                           "is missing: what the image would run by itself is not known here");
        to["command"] = std::move(command);
        container.String("name");
        container.String("imagePullPolicy");
        // How Kubernetes keeps a container: nothing of it holds for a command of the node.
        for (const std::string_view name :
             {"resources", "ports", "securityContext", "terminationMessagePath",
              "terminationMessagePolicy", "stdin", "tty"})
          container.Any(name);
        for (const std::string_view name : {"workingDir", "envFrom", "lifecycle"})
          RefuseFilled(container, name, "cannot be honoured: the command runs on a node");
        Move(container, "env", to);
        RefuseFilled(container, "volumeMounts", "cannot be honoured: the command runs on a node");
        if (const json::string* image = container.String("image"))
          notes.push_back("the command of image " + std::string(*image) +
                          " runs on a node, with the programs of that node");
      },
      Need::kRequired);
  RefuseFilled(task, "volumes", "cannot be honoured: the command runs on a node");
}

void ReadStatusCheck(FieldReader& check, json::object& to) {
  for (const std::string_view name :
       {"mode", "type", "timeoutSeconds", "intervalSeconds", "failureThreshold", "successThreshold",
        "recordsHistoryLimit", "duration", "http"}) {
    Move(check, name, to);
  }
}

Result<json::object> ReadTemplate(FieldReader& reader, const std::string& path,
                                  const std::string& name_space, std::vector<std::string>& notes) {
  json::object made;
  Move(reader, "name", made);
  Move(reader, "deadline", made);
  Move(reader, "children", made);
  Move(reader, "conditionalBranches", made);
  Move(reader, "abortWithStatusCheck", made);
  for (const std::string_view name : {"deadline", "children", "conditionalBranches"}) {
    const json::value* value = made.if_contains(name);  // as a form leaves it
    if (value != nullptr && (value->is_string() ? value->get_string().empty()
                                                : value->is_array() && value->get_array().empty()))
      made.erase(name);
  }
  const json::string* named = reader.String("templateType", Need::kRequired);
  const std::string type = named == nullptr ? "" : std::string(*named);
  const std::string deadline = made.contains("deadline") ? TextOf(made["deadline"]) : "";
  made["templateType"] = json::string(type);
  if (IsChaosKind(type)) {
    FAULTLINE_TRY(ReadInner(reader, type, path, name_space, deadline, notes, made));
    made["templateType"] = made.contains("experiment") ? "Experiment" : "Workflow";
  } else if (type == "Schedule") {
    json::value* value = reader.Any("schedule", Need::kRequired);
    if (value != nullptr && value->is_object()) {
      FieldReader inner(value->get_object(), path + ".schedule");
      FAULTLINE_ASSIGN(made["schedule"],
                       ReadSchedule(inner, path + ".schedule", name_space, notes));
    }
  } else if (type == "Task") {
    json::object task;
    reader.Object(
        "task", [&](FieldReader& inner) { ReadTask(inner, task, notes); }, Need::kRequired);
    made["task"] = std::move(task);
  } else if (type == "StatusCheck") {
    json::object check;
    reader.Object(
        "statusCheck", [&](FieldReader& inner) { ReadStatusCheck(inner, check); }, Need::kRequired);
    made["statusCheck"] = std::move(check);
  } else if (type != "Serial" && type != "Parallel" && type != "Suspend") {
    reader.Refuse("templateType", "'" + type + "' is not known");
  }
  FAULTLINE_TRY(reader.Done());
  return made;
}

Result<json::object> ReadWorkflow(FieldReader& spec, const std::string& name_space,
                                  std::vector<std::string>& notes) {
  json::object workflow;
  Move(spec, "entry", workflow);
  json::array templates;
  json::value* list = spec.Any("templates", Need::kRequired);
  if (list != nullptr && !list->is_array()) spec.Refuse("templates", "expected a list");
  if (list != nullptr && list->is_array()) {
    size_t i = 0;
    for (json::value& item : list->get_array()) {
      const std::string path = "spec.templates[" + std::to_string(i++) + "]";
      if (!item.is_object())
        return Fail(ErrorCode::kInvalidArgument, "{}: expected an object", path);
      FieldReader reader(item.get_object(), path);
      FAULTLINE_ASSIGN(json::object made, ReadTemplate(reader, path, name_space, notes));
      templates.push_back(std::move(made));
    }
  }
  FAULTLINE_TRY(spec.Done());
  workflow["templates"] = std::move(templates);
  return workflow;
}

Result<Objects> Translate(const json::object& manifest, const std::string& kind, FieldReader& spec,
                          const std::string& name_space) {
  std::vector<std::string> notes;
  if (kind == "Schedule") {
    FAULTLINE_ASSIGN(json::object schedule, ReadSchedule(spec, "spec", name_space, notes));
    return Objects{Finish(manifest, "Schedule", "", notes, std::move(schedule))};
  }
  if (kind == "Workflow") {
    FAULTLINE_ASSIGN(json::object workflow, ReadWorkflow(spec, name_space, notes));
    return Objects{Finish(manifest, "Workflow", "", notes, std::move(workflow))};
  }
  if (kind == "StatusCheck") {
    json::object check;
    ReadStatusCheck(spec, check);
    FAULTLINE_TRY(spec.Done());
    json::object step = {
        {"name", "check"}, {"templateType", "StatusCheck"}, {"statusCheck", check}};
    if (const json::value* duration = check.if_contains("duration")) step["deadline"] = *duration;
    return Objects{Finish(manifest, "Workflow", "", notes,
                          {{"entry", "check"}, {"templates", json::array{step}}})};
  }
  if (kind == "PhysicalMachine") {
    json::object machine;
    Move(spec, "address", machine);
    FAULTLINE_TRY(spec.Done());
    return Objects{Finish(manifest, "PhysicalMachine", "", notes, std::move(machine))};
  }
  FAULTLINE_ASSIGN(const TranslatedChaos chaos, ReadChaos(kind, spec, name_space, ""));
  notes = chaos.notes;
  const std::vector<json::object> specs = chaos.Specs();
  if (!chaos.cron.empty()) {
    json::object schedule = {{"cron", chaos.cron}};
    if (specs.size() == 1) {
      schedule["experiment"] = specs.front();
    } else {
      schedule["workflow"] = SideBySide(specs);
    }
    return Objects{Finish(manifest, "Schedule", "", notes, std::move(schedule))};
  }
  Objects objects;
  for (size_t i = 0; i < specs.size(); ++i)
    objects.push_back(Finish(manifest, "Experiment", chaos.faults[i].suffix, notes, specs[i]));
  return objects;
}

}  // namespace

Result<Objects> TranslateChaosMesh(json::object& manifest) {
  const std::string kind(manifest.at("kind").as_string());
  const bool known = IsChaosKind(kind) || kind == "Schedule" || kind == "Workflow" ||
                     kind == "StatusCheck" || kind == "PhysicalMachine";
  if (!known) {
    return Fail(ErrorCode::kUnsupported,
                "kind: {} of chaos-mesh.org/v1alpha1 cannot be honoured: nothing here is like it",
                kind);
  }
  std::string name_space = "default";
  if (const json::value* value = manifest.at("metadata").as_object().if_contains("namespace")) {
    if (value->is_string()) name_space = std::string(value->get_string());
  }
  FieldReader reader(manifest, "");
  for (const std::string_view common : {"apiVersion", "kind", "metadata", "status"})
    reader.Any(common);
  json::value* spec = reader.Any("spec", Need::kRequired);
  FAULTLINE_TRY(reader.Done());
  if (!spec->is_object()) return Fail(ErrorCode::kInvalidArgument, "spec: expected an object");
  FieldReader fields(spec->get_object(), "spec");
  return Translate(manifest, kind, fields, name_space);
}

}  // namespace faultline::dialects
