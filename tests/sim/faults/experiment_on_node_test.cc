// Experiments on a real node: the aggregator's controller, fleet, objects and ground truth on one
// side, the agent's fault engine and this machine's kernel on the other; commands and transitions
// are handed over without a network between. The kernel's own count of the target's CPU time says
// whether labels and conditions are true.
#include <gtest/gtest.h>

#include <atomic>
#include <mutex>
#include <thread>

#include "agent/faults/fault_engine.h"
#include "aggregator/experiments/experiments.h"
#include "tests/support/fault_victim.h"
#include "tests/support/memory_documents.h"
#include "tests/support/paths.h"
#include "tests/support/temp_tree.h"

namespace faultline {
namespace {

namespace json = boost::json;

class ExperimentOnNode : public testing::Test {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "needs root: makes cgroups";
    victim.emplace(host, 10);
    if (!victim->made()) GTEST_SKIP() << "cgroups cannot be made here";
    ASSERT_TRUE(objects.Load());
    StartNode();
    v1::Hello hello;
    hello.set_node("here");
    for (const FaultRow& row : FaultCatalogue())
      hello.add_capabilities("fault/" + std::string(row.name));
    fleet.OnHello("here", hello);
    v1::Inventory inventory;
    inventory.add_containers()->mutable_subject()->set_cgroup(victim->path());
    fleet.OnInventory("here", inventory);
    fleet.SetSender([this](const std::string&, const v1::Command& command) -> Result<void> {
      const std::lock_guard lock(mutex);
      if (!engine) return {};  // sent, and lost with the agent
      engine->Handle(command, [this](v1::CommandReply reply) { fleet.OnReply("here", reply); });
      return {};
    });
    experiments.emplace(&objects, &fleet, &truth, &clock);
    experiments->Start();
  }
  void TearDown() override {
    experiments.reset();
    engine.reset();
  }
  void StartNode() {
    FaultEngineOptions options;
    options.state_dir = state.root();
    options.guardian_program = BinaryDir() + "/bin/faultline-guardian";
    const std::lock_guard lock(mutex);
    engine.emplace(options, host, victim->mounts(), [this](const v1::FaultTransition& transition) {
      truth.Apply("here", transition, 0);
      if (experiments) experiments->OnTransition("here", transition);
    });
    ASSERT_TRUE(engine->Start());
  }
  void Apply(const std::string& fault, const std::string& duration, const std::string& more = "") {
    const auto parsed =
        objects.Parse(fmt::format("apiVersion: faultline.io/v1\nkind: Experiment\nmetadata: "
                                  "{{name: x}}\nspec:\n  fault: {}\n  duration: {}\n"
                                  "  selector: {{cgroups: [\"{}\"]}}\n{}",
                                  fault, duration, victim->path(), more));
    ASSERT_TRUE(parsed) << parsed.error().message;
    const auto applied = objects.Apply(parsed->front());
    ASSERT_TRUE(applied) << applied.error().message;
  }
  std::string Is(std::string_view type) {
    const auto object = objects.Get("Experiment", "default", "x");
    if (!object || !object->body.contains("status")) return "";
    const json::value& status = object->body.at("status");
    if (type == "phase") return std::string(status.at("phase").get_string());
    for (const json::value& condition : status.at("conditions").get_array()) {
      if (condition.at("type").get_string() == type)
        return std::string(condition.at("status").get_string());
    }
    return "";
  }
  bool Becomes(std::string_view type, std::string_view value, int64_t timeout_ms = 10'000) {
    return Eventually(timeout_ms, [&] { return Is(type) == value; });
  }

  SystemClock clock;
  HostView host = HostView::Real("/", &clock);
  TempTree state;
  MemoryDocuments store;
  Objects objects{&store, &clock};
  Fleet fleet{&clock, 3600 * kNsPerSecond};
  GroundTruth truth{&store};
  std::optional<FaultVictim> victim;
  std::mutex mutex;
  std::optional<FaultEngine> engine;
  std::optional<Experiments> experiments;
};

TEST_F(ExperimentOnNode, ConditionsAndLabelAreTrue) {
  const double before = victim->CpuCores(500);
  Apply("cpu_stress", "5s", "  parameters: {load: \"40\"}\n");
  ASSERT_TRUE(Becomes("AllInjected", "True"));
  const int64_t during_begin = clock.UnixNs();
  const double during = victim->CpuCores(2000);
  const int64_t during_end = clock.UnixNs();
  EXPECT_NEAR(during - before, 0.4, 0.06);
  EXPECT_TRUE(Becomes("Verified", "True"));
  ASSERT_TRUE(Becomes("phase", "Finished"));
  EXPECT_EQ(Is("AllRecovered"), "True");
  EXPECT_EQ(Is("Residual"), "False");
  EXPECT_NEAR(victim->CpuCores(500), before, 0.06);
  const auto labels = truth.Between(0, INT64_MAX);
  ASSERT_EQ(labels.size(), 1u);
  EXPECT_LE(labels[0].begin_unix_ns, during_begin);
  EXPECT_GE(labels[0].end_unix_ns, during_end);
  EXPECT_NEAR(static_cast<double>(labels[0].end_unix_ns - labels[0].begin_unix_ns) / 1e9, 5.0, 0.2);
  EXPECT_EQ(labels[0].effect.verdict(), v1::VERDICT_TRUE);
  EXPECT_EQ(labels[0].target.cgroup(), victim->path());
}

TEST_F(ExperimentOnNode, DeleteUndoesBeforeTheObjectGoes) {
  Apply("process_stop", "10m");
  ASSERT_TRUE(Becomes("AllInjected", "True"));
  EXPECT_LT(victim->CpuCores(300), 0.01);
  ASSERT_TRUE(objects.Delete("Experiment", "default", "x"));
  ASSERT_TRUE(Eventually(5000, [&] { return !objects.Get("Experiment", "default", "x"); }));
  EXPECT_GT(victim->CpuCores(500), 0.03);
}

TEST_F(ExperimentOnNode, HaltUndoesAtOnceAndIsRemembered) {
  Apply("process_stop", "10m");
  ASSERT_TRUE(Becomes("AllInjected", "True"));
  const auto begin = std::chrono::steady_clock::now();
  ASSERT_TRUE(experiments->Halt("somebody"));
  ASSERT_TRUE(
      Eventually(3000, [&] { return truth.Active().empty() || victim->CpuCores(50) > 0.03; }));
  std::printf(
      "halted in %.0f ms\n",
      std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count());
  ASSERT_TRUE(Becomes("phase", "Finished"));
  experiments.reset();
  experiments.emplace(&objects, &fleet, &truth, &clock);
  experiments->Start();
  EXPECT_TRUE(experiments->halted()) << "a restart does not lift it";
  ASSERT_TRUE(experiments->Resume("somebody"));
  EXPECT_FALSE(experiments->halted());
}

TEST_F(ExperimentOnNode, AgentThatRestartsTellsHowItEnded) {
  Apply("process_stop", "10m");
  ASSERT_TRUE(Becomes("AllInjected", "True"));
  {
    const std::lock_guard lock(mutex);
    engine.reset();
  }
  EXPECT_GT(victim->CpuCores(500), 0.03);
  StartNode();
  ASSERT_TRUE(Becomes("phase", "Finished"));
  EXPECT_EQ(Is("AllRecovered"), "True");
  EXPECT_TRUE(truth.Active().empty());
}

TEST_F(ExperimentOnNode, LabelObjectsAreGroundTruth) {
  const auto parsed = objects.Parse(
      "apiVersion: faultline.io/v1\nkind: Label\nmetadata: {name: l}\nspec:\n  fault: disk_full\n  "
      "node: n\n"
      "  begin: 2026-11-20T12:00:00Z\n  end: 2026-11-20T12:01:00Z\n");
  ASSERT_TRUE(parsed && objects.Apply(parsed->front()));
  ASSERT_TRUE(Eventually(3000, [&] { return truth.Between(0, INT64_MAX).size() == 1; }));
  EXPECT_EQ(truth.Between(0, INT64_MAX)[0].source, "manual");
  ASSERT_TRUE(objects.Delete("Label", "default", "l"));
  EXPECT_TRUE(Eventually(3000, [&] { return truth.Between(0, INT64_MAX).empty(); }));
}

}  // namespace
}  // namespace faultline
