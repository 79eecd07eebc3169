// task: a program that a workflow runs on a node, once. No shell: the words are the program and its
// arguments. What it wrote and how it ended come back as the effect. It is no fault and makes no
// ground truth; it must be named in faults.allowed, because it is a program of the one who asks.
#include <filesystem>
#include <fstream>

#include "agent/faults/fault.h"
#include "agent/faults/fault_tag.h"
#include "agent/faults/shell_command.h"
#include "common/text.h"

namespace faultline {
namespace {

std::string OutcomeFile(const FaultPlan& plan) { return plan.State("folder") + "/outcome"; }

class Task final : public Fault {
 public:
  Result<FaultPlan> Plan(const FaultSpec& spec, const FaultHost& host) override {
    FaultPlan plan;
    plan.spec = spec;
    plan.state["target"] = "node";
    const std::vector<std::string> command = spec.List("command");
    if (command.empty()) return Fail(ErrorCode::kInvalidArgument, "parameters.command: is empty");
    plan.state["folder"] = host.journal_folder + "/" + FaultTag(host.journal_folder, spec.uid);
    plan.victims.push_back("runs " + spec.Text("command"));
    return plan;
  }

  Result<void> Inject(const FaultPlan& plan, const FaultHost&) override {
    std::error_code error;
    std::filesystem::create_directories(plan.State("folder"), error);
    std::vector<std::string> command = plan.spec.List("command");
    // env finds it along PATH.
    if (command.front().find('/') == std::string::npos)
      command.insert(command.begin(), "/usr/bin/env");
    FAULTLINE_ASSIGN(
        const CommandOutcome outcome,
        RunProgram(command, plan.spec.List("environment"), plan.spec.DurationNs("timeout")));
    std::ofstream(OutcomeFile(plan)) << outcome.exit_code << "\n" << outcome.output;
    return {};
  }

  Result<v1::Effect> Verify(const FaultPlan& plan, const FaultHost&) override {
    std::ifstream file(OutcomeFile(plan));
    std::string code;
    v1::Effect effect;
    if (!std::getline(file, code)) {
      AddMeasurement(effect, plan, "runs", 0, 1);
      effect.set_verdict(v1::VERDICT_FALSE);
      effect.set_reason("it has not run");
      return effect;
    }
    const std::string output(std::istreambuf_iterator<char>(file), {});
    AddMeasurement(effect, plan, "runs", 1, 1);
    AddMeasurement(effect, plan, "exit_code", ParseDouble(code).value_or(-1), 0);
    effect.set_verdict(v1::VERDICT_TRUE);
    effect.set_reason(ReplaceInvalidUtf8("exit " + code + ": " + output));
    return effect;
  }

  Result<void> Recover(const FaultPlan& plan, const FaultHost&) override {
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
    {.name = "command",
     .kind = ParameterKind::kList,
     .doc = "the program and its arguments",
     .required = true},
    {.name = "environment", .kind = ParameterKind::kList, .doc = "NAME=VALUE"},
    {.name = "timeout",
     .kind = ParameterKind::kDuration,
     .fallback = "60s",
     .doc = "then it is killed",
     .min = 1e6,
     .max = 600e9},
};

}  // namespace

extern const FaultRow kTask = {
    .name = "task",
    .doc = "Runs a program on the node, for a workflow.",
    .parameters = kParameters,
    .make = [] { return std::unique_ptr<Fault>(new Task); },
    .example = "command=echo,hello",
    .one_shot = true,
    .reapply = false,
    .must_be_allowed = true,
};

}  // namespace faultline
