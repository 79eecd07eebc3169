// user_defined: what nobody here knows how to do: commands of the one who asks, to inject, to
// verify and to recover; all three are mandatory. With `template` it is one of the scripts of
// deploy/faults (JVM, Kafka, Redis, virtual machines, clouds), called with inject, verify, recover.
// The commands get FAULT_UID, FAULT_STATE (a folder of their own that is gone afterwards),
// TARGET_PID and TARGET_CGROUP besides `environment`. verifyCmd: exit 0 is in force, 1 is not,
// anything else cannot say; lines name=number are measurements. This is a shell on the node, so it
// must be named in faults.allowed.
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>

#include "agent/faults/fault_tag.h"
#include "agent/faults/shell_command.h"
#include "agent/faults/victims.h"
#include "common/text.h"

namespace faultline {
namespace {

constexpr int64_t kTimeoutNs = 60 * kNsPerSecond;
constexpr const char* kTemplateFolders[] = {"/usr/share/faultline/faults",
                                            "/usr/local/share/faultline/faults"};

bool IsPlainName(std::string_view name) {
  return !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
  });
}

Result<std::string> FindTemplate(const std::string& name) {
  if (!IsPlainName(name))
    return Fail(ErrorCode::kInvalidArgument, "parameters.template: '{}' is no name of a script",
                name);
  std::vector<std::string> folders(std::begin(kTemplateFolders), std::end(kTemplateFolders));
  if (const char* folder = std::getenv("FAULTLINE_FAULT_TEMPLATES"))
    folders.insert(folders.begin(), folder);
  for (const std::string& folder : folders) {
    const std::string path = folder + "/" + name;
    struct stat status{};
    if (stat(path.c_str(), &status) == 0 && S_ISREG(status.st_mode) && (status.st_mode & 0111) != 0)
      return path;
  }
  return Fail(ErrorCode::kUnsupported, "unsupported: no script {} in {} (deploy/faults has them)",
              name, folders.front());
}

// One step, as the script or as the command that was given for it.
Result<CommandOutcome> Step(const FaultPlan& plan, const std::string& verb,
                            const std::string& parameter) {
  std::vector<std::string> environment = plan.spec.List("environment");
  environment.push_back("FAULT_UID=" + plan.spec.uid);
  environment.push_back("FAULT_STATE=" + plan.State("folder"));
  environment.push_back("TARGET_PID=" + plan.State("pid"));
  environment.push_back("TARGET_CGROUP=" + plan.spec.target.cgroup());
  if (const std::string script = plan.State("script"); !script.empty())
    return RunProgram({script, verb}, environment, kTimeoutNs);
  return RunShell(plan.spec.Text(parameter), environment, kTimeoutNs);
}

class UserDefined final : public Fault {
 public:
  Result<FaultPlan> Plan(const FaultSpec& spec, const FaultHost& host) override {
    FaultPlan plan;
    plan.spec = spec;
    if (spec.Has("template")) {
      FAULTLINE_ASSIGN(plan.state["script"], FindTemplate(spec.Text("template")));
    } else {
      for (const char* name : {"attackCmd", "recoverCmd", "verifyCmd"}) {
        if (Trim(spec.Text(name)).empty())
          return Fail(ErrorCode::kInvalidArgument,
                      "parameters.{}: is needed: nobody else can say what it must be", name);
      }
    }
    const std::string claim =
        "command:" + (spec.Has("template") ? plan.State("script") + spec.Text("environment")
                                           : spec.Text("recoverCmd"));
    for (const FaultPlan& other : host.others) {
      if (other.State("claim") == claim)
        return Fail(ErrorCode::kConflict, "fault {} does the same already", other.spec.uid);
    }
    plan.state["claim"] = claim;
    const v1::Subject& target = spec.target;
    const bool has_target = target.pid() != 0 || !target.comm().empty() ||
                            !target.cgroup().empty() || !target.container_id().empty();
    if (has_target) {
      FAULTLINE_ASSIGN(const auto processes, TargetProcesses(target, host));
      NameVictims(processes, host, plan);
      plan.state["pid"] = std::to_string(processes.front().pid);
    } else {
      plan.victims.push_back("the node, by commands of the one who asked");
    }
    plan.victims.push_back(spec.Has("template") ? "script " + plan.State("script")
                                                : "command " + spec.Text("attackCmd"));
    plan.state["folder"] = host.journal_folder + "/" + FaultTag(host.journal_folder, spec.uid);
    return plan;
  }

  Result<void> Inject(const FaultPlan& plan, const FaultHost&) override {
    std::error_code error;
    std::filesystem::create_directories(plan.State("folder"), error);
    if (error)
      return Fail(ErrorCode::kInternal, "make {}: {}", plan.State("folder"), error.message());
    FAULTLINE_ASSIGN(const CommandOutcome outcome, Step(plan, "inject", "attackCmd"));
    if (outcome.exit_code == 0) return {};
    return Fail(ErrorCode::kInternal, "the command to inject: exit {}: {}", outcome.exit_code,
                outcome.output);
  }

  Result<v1::Effect> Verify(const FaultPlan& plan, const FaultHost&) override {
    FAULTLINE_ASSIGN(const CommandOutcome outcome, Step(plan, "verify", "verifyCmd"));
    v1::Effect effect;
    std::string_view rest = outcome.output;
    std::string_view line;
    while (NextLine(rest, line)) {
      const size_t equals = line.find('=');
      if (equals == std::string_view::npos || equals == 0 || effect.measurements_size() >= 20)
        continue;
      if (const auto value = ParseDouble(Trim(line.substr(equals + 1))))
        AddMeasurement(effect, plan, ReplaceInvalidUtf8(Trim(line.substr(0, equals))), *value, 0);
    }
    AddMeasurement(effect, plan, "verify_exit_code", outcome.exit_code, 0);
    effect.set_verdict(outcome.exit_code == 0   ? v1::VERDICT_TRUE
                       : outcome.exit_code == 1 ? v1::VERDICT_FALSE
                                                : v1::VERDICT_INCONCLUSIVE);
    effect.set_reason(
        ReplaceInvalidUtf8(fmt::format("the command to verify: exit {}{}{}", outcome.exit_code,
                                       outcome.output.empty() ? "" : ": ", outcome.output)));
    return effect;
  }

  // The command must be able to undo what is not there, or half there.
  Result<void> Recover(const FaultPlan& plan, const FaultHost&) override {
    if (!std::filesystem::exists(plan.State("folder"))) return {};  // not begun, or undone already
    FAULTLINE_ASSIGN(const CommandOutcome outcome, Step(plan, "recover", "recoverCmd"));
    if (outcome.exit_code != 0)
      return Fail(ErrorCode::kInternal, "the command to recover: exit {}: {}", outcome.exit_code,
                  outcome.output);
    std::error_code error;
    std::filesystem::remove_all(plan.State("folder"), error);
    return {};
  }

  std::vector<std::string> Residue(const FaultPlan& plan, const FaultHost&) override {
    if (!std::filesystem::exists(plan.State("folder"))) return {};
    return {"folder " + plan.State("folder")};
  }
};

constexpr ParameterRow kParameters[] = {
    {.name = "attackCmd", .doc = "shell command that injects"},
    {.name = "recoverCmd",
     .doc = "shell command that undoes it, also when it is half done or not there"},
    {.name = "verifyCmd",
     .doc = "shell command that says by its exit whether it is in force: 0 yes, 1 no"},
    {.name = "template", .doc = "instead of commands: a script of deploy/faults"},
    {.name = "environment", .kind = ParameterKind::kList, .doc = "NAME=VALUE for the commands"},
};

}  // namespace

extern const FaultRow kUserDefined = {
    .name = "user_defined",
    .doc = "Your own commands to inject, verify and recover.",
    .parameters = kParameters,
    .make = [] { return std::unique_ptr<Fault>(new UserDefined); },
    .example =
        "attackCmd=touch${IFS}{folder}/mark recoverCmd=rm${IFS}-f${IFS}{folder}/mark "
        "verifyCmd=test${IFS}-e${IFS}{folder}/mark",
    .reapply = false,
    .must_be_allowed = true,
};

}  // namespace faultline
