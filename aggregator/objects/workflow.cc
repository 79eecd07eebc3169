// Workflow: templates, begun at `entry`. Serial and Parallel have children; Suspend waits for its
// deadline; Task runs a command on a node and may branch on what came out (`exitCode`, `stdout`);
// StatusCheck asks; Experiment, Schedule and Workflow do what they are.
#include <map>
#include <set>
#include <string>
#include <vector>

#include "aggregator/objects/kinds.h"

namespace faultline::kinds {
namespace {

namespace json = boost::json;
using Need = FieldReader::Need;

constexpr size_t kMaxTemplates = 500;

void ReadTask(FieldReader& task) {
  if (task.Strings("command").empty()) task.Refuse("command", "is missing");
  task.Any("env");
  task.Strings("nodes");
}

// Templates that are named, and the names they lead to.
using Links = std::map<std::string, std::vector<std::string>>;

void ReadTemplate(FieldReader& made, Links& links) {
  const json::string* name = made.String("name", Need::kRequired);
  if (name == nullptr) return;
  const std::string key(*name);
  if (links.contains(key)) made.Refuse("name", "'" + key + "' is there twice");
  std::vector<std::string>& leads_to = links[key];
  const std::string type = made.Word("templateType",
                                     {"Task", "Serial", "Parallel", "Suspend", "StatusCheck",
                                      "Schedule", "Experiment", "Workflow"},
                                     "");
  if (type.empty()) made.Refuse("templateType", "is missing");
  const auto deadline =
      made.DurationNs("deadline", type == "Suspend" ? Need::kRequired : Need::kOptional);
  (void)deadline;
  leads_to = made.Strings("children");
  const bool has_children = type == "Serial" || type == "Parallel";
  if (has_children != made.Has("children"))
    made.Refuse("children", has_children ? "is missing" : "means nothing with " + type);
  const auto part = [&](std::string_view wanted, std::string_view field,
                        const std::function<void(FieldReader&)>& read) {
    if (type == wanted) {
      made.Object(field, read, Need::kRequired);
    } else if (made.Has(field)) {
      made.Refuse(field, "means nothing with " + type);
    }
  };
  part("Task", "task", ReadTask);
  part("StatusCheck", "statusCheck", ReadStatusCheckFields);
  part("Schedule", "schedule", ReadScheduleFields);
  part("Experiment", "experiment", ReadExperimentFields);
  part("Workflow", "workflow", ReadWorkflowFields);
  made.Boolean("abortWithStatusCheck");
  if (made.Has("conditionalBranches") && type != "Task")
    made.Refuse("conditionalBranches", "means nothing with " + type);
  made.Objects("conditionalBranches", [&](FieldReader& branch) {
    if (const json::string* target = branch.String("target", Need::kRequired))
      leads_to.emplace_back(*target);
    branch.String("expression");
  });
}

// A template that leads to itself would never end.
bool Circles(const Links& links, const std::string& from, std::set<std::string>& on_the_way,
             int depth) {
  if (depth > 100 || !on_the_way.insert(from).second) return true;
  const auto at = links.find(from);
  if (at != links.end()) {
    for (const std::string& next : at->second) {
      if (Circles(links, next, on_the_way, depth + 1)) return true;
    }
  }
  on_the_way.erase(from);
  return false;
}

}  // namespace

void ReadWorkflowFields(FieldReader& spec) {
  const json::string* entry = spec.String("entry", Need::kRequired);
  Links links;
  spec.Objects("templates", [&](FieldReader& made) { ReadTemplate(made, links); });
  if (links.empty() || links.size() > kMaxTemplates)
    spec.Refuse("templates", "expected 1 to 500 of them");
  if (entry == nullptr) return;
  if (!links.contains(std::string(*entry)))
    spec.Refuse("entry", "no template is called " + std::string(*entry));
  for (const auto& [name, leads_to] : links) {
    for (const std::string& next : leads_to) {
      if (!links.contains(next))
        spec.Refuse("templates", name + " leads to " + next + ", which is not there");
    }
  }
  std::set<std::string> on_the_way;
  if (Circles(links, std::string(*entry), on_the_way, 0))
    spec.Refuse("templates", "they lead in a circle");
}

Result<void> ValidateWorkflow(json::object& body) {
  FieldReader reader(body, "");
  for (const std::string_view common : {"apiVersion", "kind", "metadata", "status"})
    reader.Any(common);
  reader.Object("spec", ReadWorkflowFields, Need::kRequired);
  return reader.Done();
}

}  // namespace faultline::kinds
