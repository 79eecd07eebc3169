// The controller with real objects and a real fleet; the node behind it is a table of what it was
// told.
#include "aggregator/experiments/experiments.h"

#include <gtest/gtest.h>

#include <mutex>
#include <thread>

#include "aggregator/experiments/workflows.h"
#include "tests/support/memory_documents.h"

namespace faultline {
namespace {

namespace json = boost::json;

bool Eventually(const std::function<bool()>& ready) {
  for (int i = 0; i < 1000; ++i) {
    if (ready()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return false;
}

class ExperimentsTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(objects.Load());
    v1::Hello hello;
    hello.set_node("n1");
    hello.add_capabilities("fault/cpu_stress");
    fleet.OnHello("n1", hello);
    v1::Inventory inventory;
    auto& container = *inventory.add_containers();
    container.mutable_subject()->set_container("server");
    container.mutable_subject()->set_cgroup("/tour/server");
    fleet.OnInventory("n1", inventory);
    fleet.SetSender([this](const std::string& node, const v1::Command& command) {
      return Take(node, command);
    });
    Run();
  }
  void TearDown() override { experiments.reset(); }
  void Run() {
    experiments.emplace(&objects, &fleet, &truth, &clock);
    experiments->Start();
  }

  // The node: injects at once, recovers when told.
  Result<void> Take(const std::string& node, const v1::Command& command) {
    {
      const std::lock_guard lock(mutex);
      commands.push_back(command);
    }
    if (silent) return {};
    v1::CommandReply reply;
    reply.set_id(command.id());
    if (command.has_inject_fault() && !refuse.empty()) {
      reply.set_error_code("invalid_argument");
      reply.set_error_message(refuse);
    } else if (command.has_inject_fault()) {
      uid = command.inject_fault().fault_uid();
      auto& fault = *reply.add_faults();
      fault.set_fault_uid(uid);
      fault.add_victims("cgroup /tour/server");
      fault.set_phase(v1::FAULT_PHASE_INJECTED);
      if (!command.inject_fault().dry_run()) Tell(node, v1::FAULT_PHASE_INJECTED);
    } else if (!command.recover_fault().fault_uid().empty()) {
      auto& fault = *reply.add_faults();
      fault.set_fault_uid(command.recover_fault().fault_uid());
      fault.set_phase(v1::FAULT_PHASE_RECOVERED);
      Tell(node, v1::FAULT_PHASE_RECOVERED, "requested");
    }
    // From another thread, as ingest does.
    std::thread([this, node, reply] { fleet.OnReply(node, reply); }).detach();
    return {};
  }
  void Tell(const std::string& node, v1::FaultPhase phase, const std::string& cause = "",
            v1::Verdict verdict = v1::VERDICT_UNSPECIFIED, const std::string& residue = "") {
    v1::FaultTransition transition;
    transition.set_fault_uid(uid);
    transition.set_experiment("default/x");
    transition.set_fault("cpu_stress");
    transition.set_phase(phase);
    transition.set_time_unix_ns(clock.UnixNs());
    transition.set_cause_of_end(cause);
    if (verdict != v1::VERDICT_UNSPECIFIED) {
      transition.mutable_effect()->set_verdict(verdict);
      auto& measurement = *transition.mutable_effect()->add_measurements();
      measurement.set_name("cores");
      measurement.set_during(0.4);
    }
    if (!residue.empty()) transition.add_residue(residue);
    truth.Apply(node, transition, 0);
    if (experiments && tell_experiments) experiments->OnTransition(node, transition);
  }

  void Apply(const std::string& more = "", const std::string& selector = "cgroups: [/tour/server]",
             const std::string& duration = "60s") {
    const auto parsed =
        objects.Parse(fmt::format("apiVersion: faultline.io/v1\nkind: Experiment\nmetadata:\n  "
                                  "name: x\nspec:\n  fault: cpu_stress\n"
                                  "  duration: {}\n  selector:\n    {}\n{}",
                                  duration, selector, more));
    ASSERT_TRUE(parsed) << parsed.error().message;
    const auto applied = objects.Apply(parsed->front());
    ASSERT_TRUE(applied) << applied.error().message;
  }
  json::value Status() {
    const auto object = objects.Get("Experiment", "default", "x");
    if (!object || !object->body.contains("status")) return json::object();
    return object->body.at("status");
  }
  std::string Phase() {
    const json::value status = Status();
    const auto* phase = status.get_object().if_contains("phase");
    return phase != nullptr ? std::string(phase->get_string()) : "";
  }
  // "True/Reason"
  std::string Is(std::string_view type) {
    const json::value status = Status();
    const auto* conditions = status.get_object().if_contains("conditions");
    if (conditions == nullptr) return "";
    for (const json::value& condition : conditions->get_array()) {
      if (condition.at("type").get_string() != type) continue;
      return std::string(condition.at("status").get_string()) + "/" +
             std::string(condition.at("reason").get_string());
    }
    return "";
  }
  size_t Told(bool recover) {
    const std::lock_guard lock(mutex);
    return static_cast<size_t>(
        std::count_if(commands.begin(), commands.end(), [&](const v1::Command& command) {
          return recover ? command.has_recover_fault() : command.has_inject_fault();
        }));
  }
  void Annotate(const std::string& name, const json::value& value) {
    const json::value patch = {{"metadata", {{"annotations", {{name, value}}}}}};
    ASSERT_TRUE(objects.Patch("Experiment", "default", "x", patch));
  }
  bool There() { return objects.Get("Experiment", "default", "x").has_value(); }

  SystemClock clock;
  MemoryDocuments store;
  Objects objects{&store, &clock};
  Fleet fleet{&clock, 3600 * kNsPerSecond};
  GroundTruth truth{&store};
  std::mutex mutex;
  std::vector<v1::Command> commands;
  std::string uid;
  std::string refuse;
  std::atomic<bool> silent = false;
  bool tell_experiments = true;
  std::optional<Experiments> experiments;
};

TEST_F(ExperimentsTest, WholeCourse) {
  Apply();
  ASSERT_TRUE(Eventually([&] { return Is("AllInjected") == "True/Counted"; }));
  EXPECT_EQ(Is("Selected"), "True/TargetsChosen");
  EXPECT_EQ(Is("Verified"), "Unknown/Pending");
  EXPECT_EQ(Phase(), "Running");
  EXPECT_EQ(Told(false), 1u);
  EXPECT_EQ(commands[0].inject_fault().duration_ms(), 60'000);
  EXPECT_EQ(commands[0].inject_fault().target().cgroup(), "/tour/server");
  EXPECT_EQ(commands[0].inject_fault().experiment(), "default/x");
  Tell("n1", v1::FAULT_PHASE_VERIFIED, "", v1::VERDICT_TRUE);
  ASSERT_TRUE(Eventually([&] { return Is("Verified") == "True/EffectMeasured"; }));
  EXPECT_EQ(Is("Residual"), "Unknown/Pending");
  Tell("n1", v1::FAULT_PHASE_RECOVERED, "duration", v1::VERDICT_FALSE);
  ASSERT_TRUE(Eventually([&] { return Phase() == "Finished"; }));
  EXPECT_EQ(Is("AllRecovered"), "True/Counted");
  EXPECT_EQ(Is("Residual"), "False/Audited");
  EXPECT_EQ(Is("Verified"), "True/EffectMeasured");
  EXPECT_EQ(Told(true), 0u) << "the node did it by itself";
  const json::value record = Status().at("records").at(0);
  EXPECT_EQ(record.at("id").get_string(), "n1/tour/server");
  EXPECT_EQ(record.at("phase").get_string(), "Recovered");
  EXPECT_EQ(record.at("causeOfEnd").get_string(), "duration");
  EXPECT_EQ(record.at("events").get_array().size(), 3u);
  ASSERT_TRUE(objects.Delete("Experiment", "default", "x"));
  EXPECT_TRUE(Eventually([&] { return !There(); }));
}

TEST_F(ExperimentsTest, NothingSelectedIsNeverSuccess) {
  Apply("", "namespaces: [none]");
  ASSERT_TRUE(Eventually([&] { return Is("Selected") == "Unknown/NothingMatches"; }))
      << "they may still appear";
  ASSERT_TRUE(Eventually([&] { return Is("Selected") == "False/NothingMatches"; }));
  EXPECT_EQ(Phase(), "Failed");
  EXPECT_EQ(Is("Verified"), "False/NothingSelected");
  EXPECT_EQ(Told(false), 0u);
  ASSERT_TRUE(objects.Delete("Experiment", "default", "x"));
  EXPECT_TRUE(Eventually([&] { return !There(); }));
}

TEST_F(ExperimentsTest, DeletingRecoversFirst) {
  Apply();
  ASSERT_TRUE(Eventually([&] { return Is("AllInjected") == "True/Counted"; }));
  silent = true;  // the node is away
  ASSERT_TRUE(objects.Delete("Experiment", "default", "x"));
  ASSERT_TRUE(Eventually([&] { return Told(true) == 1; }));
  EXPECT_TRUE(There()) << "held by its finalizer while the fault may be in force";
  Tell("n1", v1::FAULT_PHASE_RECOVERED, "lease_lost", v1::VERDICT_FALSE);
  EXPECT_TRUE(Eventually([&] { return !There(); }));
}

TEST_F(ExperimentsTest, PauseRecoversAndResumeInjectsAgain) {
  Apply();
  ASSERT_TRUE(Eventually([&] { return Is("AllInjected") == "True/Counted"; }));
  const std::string first = uid;
  Annotate("faultline.io/pause", "true");
  ASSERT_TRUE(Eventually([&] { return Phase() == "Paused"; }));
  EXPECT_EQ(Is("Paused"), "True/Annotation");
  EXPECT_EQ(Told(true), 1u);
  Annotate("faultline.io/pause", nullptr);
  ASSERT_TRUE(Eventually([&] { return Told(false) == 2; }));
  EXPECT_NE(uid, first);
  EXPECT_LT(commands.back().inject_fault().duration_ms(), 60'000) << "what was left of it";
  Annotate("faultline.io/abort", "true");
  ASSERT_TRUE(Eventually([&] { return Phase() == "Finished"; }));
}

TEST_F(ExperimentsTest, HaltStopsAllAndRefusesNewOnes) {
  Apply();
  ASSERT_TRUE(Eventually([&] { return Is("AllInjected") == "True/Counted"; }));
  EXPECT_EQ(experiments->Halt("me").value(), 1);
  ASSERT_TRUE(Eventually([&] { return Phase() == "Finished"; }));
  ASSERT_TRUE(objects.Delete("Experiment", "default", "x"));
  ASSERT_TRUE(Eventually([&] { return !There(); }));
  Apply();
  ASSERT_TRUE(Eventually([&] { return Is("Selected") == "False/Halted"; }));
  EXPECT_EQ(Told(false), 1u);
  ASSERT_TRUE(experiments->Resume("me"));
  EXPECT_TRUE(Eventually([&] { return Told(false) == 2; }));
}

TEST_F(ExperimentsTest, NodesRefusalIsFailure) {
  refuse = "parameters.load: no";
  Apply();
  ASSERT_TRUE(Eventually([&] { return Phase() == "Failed"; }));
  EXPECT_EQ(Is("AllInjected"), "False/Counted");
  EXPECT_EQ(Is("Verified"), "False/NoEffect");
}

TEST_F(ExperimentsTest, DryRunInjectsNothing) {
  Apply("  dryRun: true\n");
  ASSERT_TRUE(Eventually([&] { return Phase() == "Planned"; }));
  EXPECT_TRUE(commands[0].inject_fault().dry_run());
  EXPECT_EQ(Status().at("records").at(0).at("victims").at(0).get_string(), "cgroup /tour/server");
  EXPECT_EQ(Is("Verified"), "Unknown/DryRun");
}

TEST_F(ExperimentsTest, ResidueIsNamed) {
  Apply();
  ASSERT_TRUE(Eventually([&] { return Is("AllInjected") == "True/Counted"; }));
  Tell("n1", v1::FAULT_PHASE_RECOVERED, "duration", v1::VERDICT_FALSE, "a file");
  ASSERT_TRUE(Eventually([&] { return Is("Residual") == "True/LeftBehind"; }));
}

TEST_F(ExperimentsTest, RestartGoesOnWhereItWas) {
  Apply();
  ASSERT_TRUE(Eventually([&] { return Is("AllInjected") == "True/Counted"; }));
  experiments.reset();
  // While nobody controlled, the fault ended.
  Tell("n1", v1::FAULT_PHASE_VERIFIED, "", v1::VERDICT_TRUE);
  Tell("n1", v1::FAULT_PHASE_RECOVERED, "duration", v1::VERDICT_FALSE);
  Run();
  ASSERT_TRUE(Eventually([&] { return Phase() == "Finished"; }));
  EXPECT_EQ(Is("Verified"), "True/EffectMeasured");
  EXPECT_EQ(Told(false), 1u) << "not injected again";
}

TEST_F(ExperimentsTest, PolicyIsRespected) {
  const auto policy = objects.Parse(
      "apiVersion: faultline.io/v1\nkind: Policy\nmetadata: {name: p}\nspec: {protectedNodes: "
      "[n1]}\n");
  ASSERT_TRUE(policy && objects.Apply(policy->front()));
  Apply();
  ASSERT_TRUE(Eventually([&] { return Is("Selected") == "False/PolicyRefuses"; }));
  EXPECT_EQ(Phase(), "Failed");
  EXPECT_EQ(Told(false), 0u);
}

// A check that fails: the fault is undone before its time, and the status says why.
TEST_F(ExperimentsTest, SteadyStateBreachAborts) {
  CheckRunner checks(nullptr, &clock);
  experiments.reset();
  experiments.emplace(&objects, &fleet, &truth, &clock);
  experiments->UseChecks(&checks);
  experiments->Start();
  // Nobody listens on port 1.
  Apply(
      "  steadyState:\n    - type: HTTP\n      intervalSeconds: 1\n      failureThreshold: 1\n"
      "      http: {url: 'http://127.0.0.1:1/', criteria: {statusCode: '200'}}\n");
  ASSERT_TRUE(Eventually([&] {
    const json::value status = Status();
    return status.is_object() && status.get_object().contains("phase") &&
           status.at("phase") == "Finished";
  }));
  EXPECT_TRUE(std::string_view(Status().at("stopReason").as_string()).starts_with("steadyState: "));
  experiments.reset();
}

TEST_F(ExperimentsTest, TheOtherSideIsFoundByItsAddresses) {
  v1::Inventory inventory;
  auto& server = *inventory.add_containers();
  server.mutable_subject()->set_cgroup("/tour/server");
  auto& peer = *inventory.add_containers();
  peer.mutable_subject()->set_cgroup("/tour/peer");
  auto& label = *peer.add_labels();
  label.set_name("faultline.io/addresses");
  label.set_value("10.1.2.3,10.1.2.4");
  fleet.OnInventory("n1", inventory);
  Apply("  target: {selector: {cgroups: [/tour/peer]}, mode: all}\n");
  ASSERT_TRUE(Eventually([&] {
    const std::lock_guard lock(mutex);
    return !commands.empty();
  }));
  const std::lock_guard lock(mutex);
  EXPECT_EQ(commands.front().inject_fault().parameters().at("targets"), "10.1.2.3,10.1.2.4");
}

TEST_F(ExperimentsTest, MachinesAreNodesByOtherNames) {
  const auto machine = objects.Parse(
      "apiVersion: faultline.io/v1\nkind: PhysicalMachine\nmetadata: {name: pm, labels: {arch: "
      "amd64}}\n"
      "spec: {address: 'http://n1:31768'}\n");
  ASSERT_TRUE(machine) << machine.error().message;
  ASSERT_TRUE(objects.Apply(machine->front()));
  Apply("", "machines: {labelSelectors: {arch: amd64}}");
  ASSERT_TRUE(Eventually([&] {
    const std::lock_guard lock(mutex);
    return !commands.empty();
  }));
}

// A workflow and a schedule make experiments, which the controller runs; both are followed to their
// end.
TEST_F(ExperimentsTest, WorkflowsAndSchedulesMakeExperiments) {
  CheckRunner checks(nullptr, &clock);
  Workflows workflows(&objects, &checks, &clock);
  workflows.Start();
  const std::string experiment =
      "{fault: cpu_stress, duration: 60s, selector: {cgroups: [/tour/server]}}";
  for (const std::string& text :
       {"apiVersion: faultline.io/v1\nkind: Workflow\nmetadata: {name: w}\nspec:\n  entry: all\n  "
        "templates:\n"
        "    - {name: all, templateType: Serial, children: [hurt, rest]}\n"
        "    - {name: hurt, templateType: Experiment, deadline: 1s, experiment: " +
            experiment +
            "}\n"
            "    - {name: rest, templateType: Suspend, deadline: 1s}\n",
        "apiVersion: faultline.io/v1\nkind: Schedule\nmetadata: {name: s}\nspec:\n  cron: '* * * * "
        "* *'\n"
        "  concurrencyPolicy: Forbid\n  experiment: " +
            experiment + "\n"}) {
    const auto parsed = objects.Parse(text);
    ASSERT_TRUE(parsed) << parsed.error().message;
    ASSERT_TRUE(objects.Apply(parsed->front()));
  }
  const auto phase = [&](const char* kind, const char* name) {
    const auto object = objects.Get(kind, "default", name);
    const json::value* status = object ? object->body.if_contains("status") : nullptr;
    return status != nullptr && status->is_object() && status->get_object().contains("phase")
               ? std::string(status->at("phase").as_string())
               : std::string();
  };
  ASSERT_TRUE(Eventually([&] { return phase("Workflow", "w") == "Finished"; }))
      << phase("Workflow", "w");
  EXPECT_EQ(phase("Experiment", "w-hurt-1"), "Finished") << "ended at the deadline of its step";
  const auto made = [&] {
    return objects.List("Experiment", "", "faultline.io/schedule=s")
        .value_or(std::vector<Object>());
  };
  EXPECT_TRUE(Eventually([&] { return !made().empty(); }));
  ASSERT_TRUE(objects.Delete("Schedule", "default", "s"));
  EXPECT_TRUE(Eventually([&] {
    const std::vector<Object> all = made();
    return std::all_of(all.begin(), all.end(), [&](const Object& one) {
      return phase("Experiment", one.name.c_str()) == "Finished";
    });
  })) << "a schedule that is gone takes along what it began";
  workflows.Stop();
}

}  // namespace
}  // namespace faultline
