#include "aggregator/experiments/workflow_course.h"

#include <algorithm>

#include "aggregator/experiments/branch_expression.h"
#include "common/text.h"

namespace faultline {
namespace {

namespace json = boost::json;

constexpr size_t kMaxSteps = 1000;

std::string TextAt(const json::object& object, std::string_view name) {
  const json::value* value = object.if_contains(name);
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string();
}

bool FlagAt(const json::object& object, std::string_view name) {
  const json::value* value = object.if_contains(name);
  return value != nullptr && value->is_bool() && value->get_bool();
}

const json::object& ObjectAt(const json::object& object, std::string_view name) {
  static const json::object kEmpty;
  const json::value* value = object.if_contains(name);
  return value != nullptr && value->is_object() ? value->get_object() : kEmpty;
}

const json::array& ListAt(const json::object& object, std::string_view name) {
  static const json::array kEmpty;
  const json::value* value = object.if_contains(name);
  return value != nullptr && value->is_array() ? value->get_array() : kEmpty;
}

// A part of an object's name.
std::string NamePart(const std::string& text) {
  std::string part;
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
    part += plain ? c : c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : '-';
  }
  return part.substr(0, 60);
}

// A task is an experiment whose fault is a command.
json::object TaskSpec(const json::object& made) {
  const json::object& task = ObjectAt(made, "task");
  json::array environment;
  for (const json::value& one : ListAt(task, "env")) {
    if (one.is_object())
      environment.push_back(
          json::string(TextAt(one.get_object(), "name") + "=" + TextAt(one.get_object(), "value")));
  }
  json::object selector;
  selector["nodes"] = task.contains("nodes") ? task.at("nodes") : json::value(json::array{"*"});
  const std::string deadline = TextAt(made, "deadline");
  return {{"fault", "task"},
          {"parameters",
           {{"command", json::serialize(ListAt(task, "command"))},
            {"environment", json::serialize(environment)}}},
          {"selector", selector},
          {"mode", "one"},
          {"duration", deadline.empty() ? "5m" : deadline}};
}

}  // namespace

WorkflowCourse::WorkflowCourse(std::string name, json::object spec, const json::value& status)
    : name_(std::move(name)), spec_(std::move(spec)) {
  for (const json::value& made : ListAt(spec_, "templates"))
    templates_[TextAt(made.as_object(), "name")] = &made.as_object();
  if (!status.is_object()) return;
  abort_reason_ = TextAt(status.get_object(), "abortReason");
  for (const json::value& value : ListAt(status.get_object(), "steps")) {
    if (!value.is_object()) continue;
    const json::object& object = value.get_object();
    WorkflowStep step;
    step.name = TextAt(object, "template");
    if (const json::value* parent = object.if_contains("parent");
        parent != nullptr && parent->is_int64())
      step.parent = static_cast<size_t>(parent->get_int64());
    step.phase = TextAt(object, "phase");
    step.outcome = TextAt(object, "outcome");
    step.began_unix_ns = ParseTime(TextAt(object, "startTime")).value_or(0);
    step.ended_unix_ns = ParseTime(TextAt(object, "endTime")).value_or(0);
    step.child_kind = TextAt(object, "childKind");
    step.child_name = TextAt(object, "childName");
    step.message = TextAt(object, "message");
    step.stdout_text = TextAt(object, "stdout");
    if (const json::value* code = object.if_contains("exitCode");
        code != nullptr && code->is_number())
      step.exit_code = code->to_number<double>();
    step.branched = FlagAt(object, "branched");
    if (templates_.contains(step.name)) steps_.push_back(std::move(step));
  }
}

json::object WorkflowCourse::ToJson() const {
  json::array steps;
  for (const WorkflowStep& step : steps_) {
    json::object object = {{"template", step.name},
                           {"phase", step.phase},
                           {"startTime", FormatTime(step.began_unix_ns)}};
    if (step.parent) object["parent"] = static_cast<int64_t>(*step.parent);
    if (step.ended_unix_ns != 0) object["endTime"] = FormatTime(step.ended_unix_ns);
    for (const auto& [field, text] :
         {std::pair<const char*, const std::string*>{"outcome", &step.outcome},
          {"childKind", &step.child_kind},
          {"childName", &step.child_name},
          {"message", &step.message},
          {"stdout", &step.stdout_text}}) {
      if (!text->empty()) object[field] = *text;
    }
    if (step.exit_code) object["exitCode"] = *step.exit_code;
    if (step.branched) object["branched"] = true;
    steps.push_back(std::move(object));
  }
  const bool over = finished();
  const std::string outcome = over ? steps_.front().outcome : "";
  const auto condition = [](const char* type, bool is) {
    return json::object{{"type", type}, {"status", is ? "True" : "False"}};
  };
  json::object status = {
      {"phase", !over               ? (abort_reason_.empty() ? "Running" : "Recovering")
                : outcome == "Done" ? "Finished"
                                    : outcome},
      {"steps", std::move(steps)},
      {"conditions", json::array{condition("Accomplished", over && outcome == "Done"),
                                 condition("DeadlineExceed", outcome == "DeadlineExceeded"),
                                 condition("Aborted", !abort_reason_.empty())}}};
  if (!abort_reason_.empty()) status["abortReason"] = abort_reason_;
  return status;
}

const json::object& WorkflowCourse::TemplateOf(const WorkflowStep& step) const {
  return *templates_.at(step.name);
}

std::vector<size_t> WorkflowCourse::ChildrenOf(size_t step) const {
  std::vector<size_t> children;
  for (size_t i = 0; i < steps_.size(); ++i) {
    if (steps_[i].parent == step) children.push_back(i);
  }
  return children;
}

void WorkflowCourse::Begin(const std::string& name, std::optional<size_t> parent,
                           int64_t now_unix_ns) {
  if (steps_.size() >= kMaxSteps || !templates_.contains(name)) return;
  WorkflowStep step;
  step.name = name;
  step.parent = parent;
  step.began_unix_ns = now_unix_ns;
  steps_.push_back(std::move(step));
}

void WorkflowCourse::Finish(size_t step, std::string outcome, std::string message,
                            int64_t now_unix_ns) {
  WorkflowStep& one = steps_[step];
  one.phase = "Done";
  if (one.outcome.empty()) one.outcome = std::move(outcome);
  if (one.message.empty()) one.message = std::move(message);
  one.ended_unix_ns = now_unix_ns;
}

void WorkflowCourse::EndBelow(size_t step, const std::string& outcome) {
  WorkflowStep& one = steps_[step];
  if (one.phase == "Running") {
    one.phase = "Ending";
    if (one.outcome.empty()) one.outcome = outcome;
  }
  for (const size_t child : ChildrenOf(step)) EndBelow(child, "Aborted");
}

void WorkflowCourse::Abort(std::string reason) {
  if (abort_reason_.empty()) abort_reason_ = std::move(reason);
}

void WorkflowCourse::Step(int64_t now_unix_ns, WorkflowWorld& world) {
  if (steps_.empty()) Begin(TextAt(spec_, "entry"), std::nullopt, now_unix_ns);
  if (steps_.empty()) return;
  if (!abort_reason_.empty()) EndBelow(0, "Aborted");
  // Until nothing moves any more: what ends makes room for what follows.
  for (int round = 0; round < 100; ++round) {
    const std::string before = json::serialize(ToJson());
    for (size_t i = steps_.size(); i-- > 0;) StepOne(i, now_unix_ns, world);
    if (json::serialize(ToJson()) == before) break;
  }
}

void WorkflowCourse::StepOne(size_t step, int64_t now_unix_ns, WorkflowWorld& world) {
  if (steps_[step].phase == "Done") return;
  const json::object& made = TemplateOf(steps_[step]);
  const std::string type = TextAt(made, "templateType");
  const auto deadline_ns = ParseDurationNs(TextAt(made, "deadline"));
  if (steps_[step].phase == "Running" && deadline_ns &&
      now_unix_ns >= steps_[step].began_unix_ns + *deadline_ns) {
    // For what lasts until its deadline this is how it ends well.
    const bool as_planned =
        type == "Suspend" || type == "Schedule" || type == "Experiment" ||
        (type == "StatusCheck" && TextAt(ObjectAt(made, "statusCheck"), "mode") == "Continuous");
    EndBelow(step, as_planned ? "Done" : "DeadlineExceeded");
  }
  if (steps_[step].phase == "Ending") return StepEnding(step, now_unix_ns, world);
  if (type == "Serial" || type == "Parallel") return StepGroup(step, type == "Serial", now_unix_ns);
  if (type == "StatusCheck") return StepCheck(step, now_unix_ns, world);
  if (type == "Suspend") return;
  if (steps_[step].branched || (type == "Task" && steps_[step].exit_code))
    return StepBranches(step, now_unix_ns);
  StepChild(step, type, now_unix_ns, world);
}

void WorkflowCourse::StepEnding(size_t step, int64_t now_unix_ns, WorkflowWorld& world) {
  const std::vector<size_t> children = ChildrenOf(step);
  const bool children_done = std::all_of(children.begin(), children.end(), [&](size_t child) {
    return steps_[child].phase == "Done";
  });
  if (!children_done) return;
  WorkflowStep& one = steps_[step];
  if (!one.child_name.empty()) {
    if (!world.Look(one.child_kind, one.child_name).ended) {
      world.End(one.child_kind, one.child_name);
      return;
    }
  }
  checks_.erase(step);
  Finish(step, "Done", "", now_unix_ns);
}

void WorkflowCourse::StepGroup(size_t step, bool serial, int64_t now_unix_ns) {
  const json::array& names = ListAt(TemplateOf(steps_[step]), "children");
  const std::vector<size_t> children = ChildrenOf(step);
  const bool all_done = std::all_of(children.begin(), children.end(),
                                    [&](size_t child) { return steps_[child].phase == "Done"; });
  if (!serial && children.empty()) {
    for (const json::value& name : names) Begin(std::string(name.as_string()), step, now_unix_ns);
  } else if (serial && all_done && children.size() < names.size()) {
    Begin(std::string(names[children.size()].as_string()), step, now_unix_ns);
  } else if (all_done && children.size() >= names.size()) {
    Finish(step, "Done", "", now_unix_ns);
  }
}

void WorkflowCourse::StepCheck(size_t step, int64_t now_unix_ns, WorkflowWorld& world) {
  const json::object& made = TemplateOf(steps_[step]);
  auto at = checks_.find(step);
  if (at == checks_.end())
    at = checks_.emplace(step, CheckCourse(ReadCheckSpec(ObjectAt(made, "statusCheck")))).first;
  CheckCourse& check = at->second;
  if (check.Due(now_unix_ns)) world.Ask(step, check.spec());
  if (check.state() == CheckCourse::State::kPassed) {
    Finish(step, "Done", check.message(), now_unix_ns);
  } else if (check.state() == CheckCourse::State::kFailed) {
    if (FlagAt(made, "abortWithStatusCheck"))
      Abort("status check " + steps_[step].name + " failed: " + check.message());
    Finish(step, "Failed", check.message(), now_unix_ns);
  }
}

void WorkflowCourse::OnAnswer(size_t step, const Result<std::string>& answer, int64_t now_unix_ns) {
  const auto at = checks_.find(step);
  if (at != checks_.end()) at->second.OnAnswer(answer, now_unix_ns);
}

void WorkflowCourse::StepChild(size_t step, const std::string& type, int64_t now_unix_ns,
                               WorkflowWorld& world) {
  WorkflowStep& one = steps_[step];
  const json::object& made = TemplateOf(one);
  if (one.child_name.empty()) {
    const std::string kind = type == "Task" ? "Experiment" : type;
    const std::string name =
        fmt::format("{}-{}-{}", name_.substr(0, 150), NamePart(one.name), step);
    std::string field = type;
    field[0] = static_cast<char>(field[0] + 32);
    const json::object spec = type == "Task" ? TaskSpec(made) : ObjectAt(made, field);
    if (const auto created = world.Make(kind, name, spec); !created)
      return Finish(step, "Failed", created.error().message, now_unix_ns);
    one.child_kind = kind;
    one.child_name = name;
    return;
  }
  const ChildState child = world.Look(one.child_kind, one.child_name);
  if (!child.ended) return;
  if (type != "Task")
    return Finish(step, child.failed ? "Failed" : "Done", child.message, now_unix_ns);
  one.exit_code = child.exit_code.value_or(-1);
  one.stdout_text = child.stdout_text;
  one.message = child.message;
  StepBranches(step, now_unix_ns);
}

void WorkflowCourse::StepBranches(size_t step, int64_t now_unix_ns) {
  if (!steps_[step].branched) {
    steps_[step].branched = true;
    const json::array branches = ListAt(TemplateOf(steps_[step]), "conditionalBranches");
    for (const json::value& branch : branches) {
      const json::object& object = branch.as_object();
      const auto holds =
          EvaluateBranch(TextAt(object, "expression"), steps_[step].exit_code.value_or(-1),
                         steps_[step].stdout_text);
      if (!holds) steps_[step].message += "; " + holds.error().message;
      if (holds && *holds) Begin(TextAt(object, "target"), step, now_unix_ns);
    }
  }
  const std::vector<size_t> children = ChildrenOf(step);
  const bool all_done = std::all_of(children.begin(), children.end(),
                                    [&](size_t child) { return steps_[child].phase == "Done"; });
  if (all_done) Finish(step, "Done", "", now_unix_ns);
}

}  // namespace faultline
