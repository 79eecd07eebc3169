// fault, experiment, halt: doing things, and undoing them. A fault is run by declaring an Experiment.
#include <fcntl.h>
#include <unistd.h>

#include "aggregator/cli/commands.h"
#include "aggregator/cli/json_path.h"
#include "aggregator/cli/object_paths.h"
#include "aggregator/cli/table.h"
#include "common/clock.h"

namespace faultline::cli {
namespace {

namespace json = boost::json;

const KindPath kExperiments = {"Experiment", "experiments"};

// "workflow/x", "schedule/x", or the name of an experiment.
std::pair<KindPath, std::string> NamedObject(const std::string& text) {
  if (text.starts_with("workflow/")) return {{"Workflow", "workflows"}, text.substr(9)};
  if (text.starts_with("schedule/")) return {{"Schedule", "schedules"}, text.substr(9)};
  return {kExperiments, text.starts_with("experiment/") ? text.substr(11) : text};
}

struct Options {
  std::string name, name_space = "default", fault, duration, mode = "one", value;
  std::vector<std::string> parameters, nodes, pods, namespaces, containers, cgroups, processes;
  bool wait = false, dry_run = false, resume = false;
};

json::array Strings(const std::vector<std::string>& from) { return json::array(from.begin(), from.end()); }

std::string StatusOf(const json::value& object, const char* condition) {
  return TextAt(ConditionOf(object, condition), "status");
}

Result<json::object> Manifest(const Options& options) {
  json::object parameters, selector;
  for (const std::string& parameter : options.parameters) {
    const size_t at = parameter.find('=');
    if (at == std::string::npos) return Fail(ErrorCode::kInvalidArgument, "--parameter {}: not name=value", parameter);
    parameters[parameter.substr(0, at)] = parameter.substr(at + 1);
  }
  const std::pair<const char*, const std::vector<std::string>*> lists[] = {
      {"nodes", &options.nodes}, {"namespaces", &options.namespaces}, {"containerNames", &options.containers},
      {"cgroups", &options.cgroups}, {"processes", &options.processes}};
  for (const auto& [name, values] : lists) {
    if (!values->empty()) selector[name] = Strings(*values);
  }
  for (const std::string& pod : options.pods) {
    const size_t slash = pod.find('/');
    const std::string name_space = slash == std::string::npos ? "default" : pod.substr(0, slash);
    if (!selector.contains("pods")) selector["pods"] = json::object();
    json::value& names = selector["pods"].as_object()[name_space];
    if (names.is_null()) names = json::array();
    names.as_array().emplace_back(slash == std::string::npos ? pod : pod.substr(slash + 1));
  }
  json::object spec = {{"fault", options.fault}, {"parameters", parameters}, {"selector", selector},
                       {"mode", options.mode}, {"duration", options.duration}};
  if (!options.value.empty()) spec["value"] = options.value;
  if (options.dry_run) spec["dryRun"] = true;
  std::string name = options.name;
  if (name.empty()) {
    name = fmt::format("{}-{}", options.fault, SystemClock().UnixNs() / kNsPerMs);
    std::replace(name.begin(), name.end(), '_', '-');
  }
  return json::object{{"apiVersion", "faultline.io/v1"}, {"kind", "Experiment"},
                      {"metadata", {{"name", name}, {"namespace", options.name_space}}}, {"spec", spec}};
}

// Shows each change of the conditions until everything is recovered, or the selection failed.
Result<void> Follow(const Session& session, const std::string& name_space, const std::string& name) {
  std::string last;
  while (true) {
    FAULTLINE_ASSIGN(const json::value object, session.Client().Json("GET", ObjectPath(kExperiments, name_space, name)));
    std::string line;
    for (const char* condition : {"Selected", "AllInjected", "Verified", "AllRecovered", "Residual"}) {
      const std::string status = StatusOf(object, condition);
      if (!status.empty()) line += fmt::format("{}={} ", condition, status);
    }
    if (line != last) std::printf("%s\n", line.c_str()), std::fflush(stdout);
    last = line;
    if (StatusOf(object, "Selected") == "False") {
      return Fail(ErrorCode::kNotFound, "nothing was selected: {}", TextAt(ConditionOf(object, "Selected"), "message"));
    }
    const std::string phase = TextAt(object, "status.phase");
    if (phase == "Planned") return {};
    if (phase == "Failed") {
      return Fail(ErrorCode::kInternal, "failed: {}", TextAt(ConditionOf(object, "Verified"), "message"));
    }
    if (StatusOf(object, "AllRecovered") == "True") {
      const std::string verified = StatusOf(object, "Verified");
      if (verified == "False") {
        return Fail(ErrorCode::kInternal, "no effect: {}", TextAt(ConditionOf(object, "Verified"), "message"));
      }
      return {};
    }
    usleep(200'000);
  }
}

Result<void> RunFault(const Session& session, const Options& options) {
  FAULTLINE_ASSIGN(const json::object manifest, Manifest(options));
  const std::string name = TextAt(manifest, "metadata.name");
  FAULTLINE_ASSIGN(const json::value object,
                   session.Client().Json("POST", ObjectPath(kExperiments, options.name_space, ""), {}, json::serialize(manifest)));
  if (session.structured()) {
    session.Print(object);
  } else {
    std::printf("experiment/%s created\n", name.c_str());
  }
  return options.wait ? Follow(session, options.name_space, name) : Result<void>();
}

Result<void> ListFaults(const Session& session) {
  FAULTLINE_ASSIGN(const json::value nodes, session.Client().Data("/api/v1/nodes"));
  Table table({"FAULT", "NODES"});
  std::map<std::string, std::string> where;
  for (const json::value& node : nodes.is_array() ? nodes.get_array() : json::array()) {
    for (const json::value& capability : ArrayAt(node, "capabilities")) {
      const std::string text(capability.as_string());
      if (!text.starts_with("fault/")) continue;
      std::string& list = where[text.substr(6)];
      list += (list.empty() ? "" : ",") + TextAt(node, "node");
    }
  }
  if (session.structured()) {
    json::object object;
    for (const auto& [fault, list] : where) object[fault] = list;
    return session.Print(object), Result<void>();
  }
  for (const auto& [fault, list] : where) table.Add({fault, list});
  return std::fputs(table.Render().c_str(), stdout), Result<void>();
}

Result<void> PatchExperiment(const Session& session, const Options& options, const json::value& patch) {
  const auto [kind, name] = NamedObject(options.name);
  FAULTLINE_ASSIGN(const std::string reply, session.Client().Call("PATCH", ObjectPath(kind, options.name_space, name), {},
                                                                  json::serialize(patch), "application/merge-patch+json"));
  (void)reply;
  std::printf("%s/%s patched\n", kind.plural.c_str(), name.c_str());
  return {};
}

Result<void> Pause(const Session& session, const Options& options, bool pause) {
  const json::value value = pause ? json::value("true") : json::value(nullptr);
  return PatchExperiment(session, options, {{"metadata", {{"annotations", {{"faultline.io/pause", value}}}}}});
}

Result<void> Abort(const Session& session, const Options& options) {
  const auto [kind, name] = NamedObject(options.name);
  if (kind.kind == "Workflow") {
    const json::value patch = {{"metadata", {{"annotations", {{"faultline.io/abort", "true"}}}}}};
    return PatchExperiment(session, options, patch);
  }
  FAULTLINE_TRY(session.Client().Call("DELETE", ObjectPath(kind, options.name_space, name)));
  std::printf("%s/%s aborted: its faults are being recovered\n", kind.plural.c_str(), name.c_str());
  return {};
}

Result<void> Halt(const Session& session, bool resume) {
  FAULTLINE_ASSIGN(const json::value reply, session.Client().Json(resume ? "DELETE" : "POST", "/api/v1/halt"));
  if (session.structured()) return session.Print(reply), Result<void>();
  std::puts(resume ? "injections are allowed again" : "halted: every fault is being recovered, new ones are refused (--resume ends it)");
  return {};
}

// The agent and its guardian look for a file in their journal's folder (agent/faults/FORMAT.md).
Result<void> HaltLocally(const std::string& state_dir, bool resume) {
  const std::string file = state_dir + "/faults/halt";
  if (resume) {
    if (unlink(file.c_str()) != 0 && errno != ENOENT) return FailErrno(errno, "remove {}", file);
    std::puts("injections are allowed again on this node");
    return {};
  }
  const int fd = open(file.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return FailErrno(errno, "write {}", file);
  close(fd);
  std::puts("halted: every fault of this node is being recovered, new ones are refused (--resume ends it)");
  return {};
}

}  // namespace

void SetUpFault(CLI::App& app, Session& session) {
  app.require_subcommand(1);
  const auto options = std::make_shared<Options>();
  CLI::App* list = app.add_subcommand("list", "what can be injected, and where");
  Run(*list, [&session] { return ListFaults(session); });
  CLI::App* run = app.add_subcommand("run", "declare an experiment");
  run->add_option("fault", options->fault, "catalogue name: cpu_stress, process_stop …")->required();
  run->add_option("-p,--parameter", options->parameters, "name=value; repeatable");
  run->add_option("--duration", options->duration, "how long: 30s, 5m")->required();
  run->add_option("--name", options->name, "name of the experiment (default: made up)");
  run->add_option("-n,--namespace", options->name_space, "namespace of the experiment (default: default)");
  run->add_option("--node", options->nodes, "only on these nodes");
  run->add_option("--pod", options->pods, "namespace/pod; repeatable");
  run->add_option("--pod-namespace", options->namespaces, "pods of these namespaces");
  run->add_option("--container", options->containers, "containers of these names");
  run->add_option("--cgroup", options->cgroups, "cgroup paths (globs)");
  run->add_option("--process", options->processes, "pids or names");
  run->add_option("--mode", options->mode, "one, all, fixed, fixed-percent, random-max-percent (default one)");
  run->add_option("--value", options->value, "of the mode");
  run->add_flag("--dry-run", options->dry_run, "only name the victims");
  run->add_flag("--wait", options->wait, "follow until it is recovered");
  Run(*run, [options, &session] { return RunFault(session, *options); });
  CLI::App* status = app.add_subcommand("status", "follow an experiment until it is recovered");
  CLI::App* recover = app.add_subcommand("recover", "end an experiment now");
  for (CLI::App* command : {status, recover}) {
    command->add_option("name", options->name, "name of the experiment; workflow/NAME, schedule/NAME")->required();
    command->add_option("-n,--namespace", options->name_space, "its namespace (default: default)");
  }
  Run(*status, [options, &session] { return Follow(session, options->name_space, options->name); });
  Run(*recover, [options, &session] { return Abort(session, *options); });
}

void SetUpExperiment(CLI::App& app, Session& session) {
  app.require_subcommand(1);
  const auto options = std::make_shared<Options>();
  CLI::App* pause = app.add_subcommand("pause", "recover its faults, keep it");
  CLI::App* resume = app.add_subcommand("resume", "inject again");
  CLI::App* abort = app.add_subcommand("abort", "recover its faults and delete it");
  for (CLI::App* command : {pause, resume, abort}) {
    command->add_option("name", options->name, "name of the experiment; workflow/NAME, schedule/NAME")->required();
    command->add_option("-n,--namespace", options->name_space, "its namespace (default: default)");
  }
  Run(*pause, [options, &session] { return Pause(session, *options, true); });
  Run(*resume, [options, &session] { return Pause(session, *options, false); });
  Run(*abort, [options, &session] { return Abort(session, *options); });
}

void SetUpHalt(CLI::App& app, Session& session) {
  const auto resume = std::make_shared<bool>(false);
  const auto local = std::make_shared<std::string>();
  app.add_flag("--resume", *resume, "allow injections again");
  app.add_option("--local", *local, "this node alone, without the aggregator: the agent's state_dir")
      ->expected(0, 1)
      ->default_str("/var/lib/faultline/agent");
  CLI::App* const command = &app;
  Run(app, [resume, local, command, &session] {
    if (command->count("--local") == 0) return Halt(session, *resume);
    return HaltLocally(local->empty() ? "/var/lib/faultline/agent" : *local, *resume);
  });
}

}  // namespace faultline::cli
