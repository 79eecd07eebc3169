// The engine's order, with a fault that changes a file and can be made to fail or to end the
// process at any step. The host is that file: whatever happens, it must be as it was.
#include "agent/faults/fault_engine.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>

#include "agent/faults/fault_journal.h"
#include "tests/support/fault_engine_run.h"
#include "tests/support/temp_tree.h"

namespace faultline {
namespace {

std::string g_file;                         // the host
std::atomic<int> g_step = 0;                // how many steps were taken
std::atomic<int> g_die_at = 0;              // the process ends at this one
std::atomic<int> g_failing_recoveries = 0;  // so many more will fail
std::atomic<bool> g_fail_inject = false;
std::atomic<bool> g_fail_verify = false;

void Step() {
  if (++g_step == g_die_at) _exit(9);
}
std::string ReadHost() {
  std::ifstream file(g_file);
  return std::string(std::istreambuf_iterator<char>(file), {});
}
void WriteHost(const std::string& text) { std::ofstream(g_file) << text; }

class FileFault final : public Fault {
 public:
  Result<FaultPlan> Plan(const FaultSpec& spec, const FaultHost&) override {
    Step();
    if (spec.parameters.contains("bad"))
      return Fail(ErrorCode::kInvalidArgument, "parameters.bad: bad");
    FaultPlan plan;
    plan.spec = spec;
    plan.victims = {"file " + g_file};
    plan.state["was"] = ReadHost();
    return plan;
  }
  Result<void> Inject(const FaultPlan&, const FaultHost&) override {
    Step();
    WriteHost("hal");
    Step();
    if (g_fail_inject) return Fail(ErrorCode::kInternal, "cannot");
    WriteHost("changed");
    Step();
    return {};
  }
  Result<v1::Effect> Verify(const FaultPlan& plan, const FaultHost&) override {
    Step();
    if (g_fail_verify) return Fail(ErrorCode::kUnavailable, "no instrument");
    v1::Effect effect;
    const bool changed = ReadHost() != plan.state.at("was");
    effect.set_verdict(changed ? v1::VERDICT_TRUE : v1::VERDICT_FALSE);
    auto& measurement = *effect.add_measurements();
    measurement.set_name("changed");
    if (plan.before.contains("changed")) measurement.set_before(plan.before.at("changed"));
    measurement.set_during(changed ? 1 : 0);
    return effect;
  }
  Result<void> Recover(const FaultPlan& plan, const FaultHost&) override {
    Step();
    if (g_failing_recoveries > 0) {
      --g_failing_recoveries;
      return Fail(ErrorCode::kInternal, "not yet");
    }
    WriteHost("hal");
    Step();
    WriteHost(plan.state.at("was"));
    Step();
    return {};
  }
  std::vector<std::string> Residue(const FaultPlan& plan, const FaultHost&) override {
    Step();
    if (ReadHost() == plan.state.at("was")) return {};
    return {"file " + g_file};
  }
};

constexpr ParameterRow kParameters[] = {{.name = "bad"}};
constexpr FaultRow kCatalogue[] = {
    {"file", "", kParameters, [] { return std::unique_ptr<Fault>(new FileFault); }},
    {"other", "", kParameters, [] { return std::unique_ptr<Fault>(new FileFault); }},
};

class EngineTest : public testing::Test {
 protected:
  void SetUp() override {
    g_file = tree.root() + "/host";
    g_step = 0;
    g_die_at = 0;
    g_failing_recoveries = 0;
    g_fail_inject = false;
    g_fail_verify = false;
    WriteHost("original");
  }
  FaultEngineOptions Options() {
    FaultEngineOptions options;
    options.state_dir = tree.root() + "/state";
    options.guarded = false;
    options.catalogue = kCatalogue;
    return options;
  }
  SystemClock clock;
  HostView host = HostView::Real("/", &clock);
  TempTree tree;
};

TEST_F(EngineTest, LifeInOrder) {
  FaultEngineRun run(Options(), host, {});
  ASSERT_TRUE(run.engine().Start());
  const auto reply = run.Inject("a", "file", {}, 60'000);
  ASSERT_EQ(reply.error_code(), "");
  EXPECT_EQ(reply.faults(0).victims(0), "file " + g_file);
  EXPECT_EQ(ReadHost(), "changed");
  const auto verified = run.Wait("a", v1::FAULT_PHASE_VERIFIED);
  ASSERT_TRUE(verified);
  EXPECT_EQ(verified->effect().verdict(), v1::VERDICT_TRUE);
  EXPECT_EQ(verified->effect().measurements(0).before(), 0);
  EXPECT_EQ(verified->effect().measurements(0).during(), 1);
  EXPECT_EQ(run.Recover("a").faults(0).phase(), v1::FAULT_PHASE_RECOVERED);
  EXPECT_EQ(ReadHost(), "original");
  EXPECT_TRUE(run.Wait("a", v1::FAULT_PHASE_RECOVERED));
  EXPECT_EQ(run.Recover("a").error_code(), "") << "twice is fine";
  EXPECT_EQ(run.Recover("b").error_code(), "not_found");
  EXPECT_EQ(run.Phases("a"),
            (std::vector<v1::FaultPhase>{v1::FAULT_PHASE_REQUESTED, v1::FAULT_PHASE_PLANNED,
                                         v1::FAULT_PHASE_INJECTED, v1::FAULT_PHASE_VERIFIED,
                                         v1::FAULT_PHASE_RECOVERED}));
}

// The property that counts: killed at any step, the next start leaves the host as it was, and
// nothing undone.
TEST_F(EngineTest, KilledAtAnyStepTheHostIsRestored) {
  int die_at = 1;
  for (;; ++die_at) {
    ASSERT_LT(die_at, 60);
    const pid_t child = fork();
    if (child == 0) {
      g_step = 0;
      g_die_at = die_at;
      FaultEngineOptions options = Options();
      FaultEngine engine(options, host, {}, [](const v1::FaultTransition&) { Step(); });
      std::atomic<bool> answered = false;
      if (!engine.Start()) _exit(1);
      v1::Command command;
      command.mutable_inject_fault()->set_fault_uid("k");
      command.mutable_inject_fault()->set_fault("file");
      command.mutable_inject_fault()->set_duration_ms(50);
      engine.Handle(command, [&](const v1::CommandReply&) { answered = true; });
      // The fault ends by its own duration; both measurements are over when the journal has
      // `after`.
      const auto journal = FaultJournal::Open(options.state_dir + "/faults");
      const bool over = Eventually(5000, [&] {
        const auto entry = journal->Load("k");
        return answered && entry && entry->has_after();
      });
      engine.Stop();
      _exit(over ? 0 : 2);
    }
    int status = 0;
    waitpid(child, &status, 0);
    ASSERT_TRUE(WIFEXITED(status));
    const int code = WEXITSTATUS(status);
    ASSERT_TRUE(code == 9 || code == 0) << "step " << die_at << " ended with " << code;
    {
      FaultEngineRun run(Options(), host, {});
      ASSERT_TRUE(run.engine().Start());
      EXPECT_EQ(ReadHost(), "original") << "killed at step " << die_at;
      EXPECT_EQ(run.engine().WhyOff().find("earlier run"), std::string::npos);
      const v1::CommandReply list = run.List();
      for (const auto& fault : list.faults()) {
        EXPECT_TRUE(fault.phase() == v1::FAULT_PHASE_RECOVERED ||
                    fault.phase() == v1::FAULT_PHASE_FAILED);
        EXPECT_EQ(fault.residue_size(), 0);
      }
    }
    std::filesystem::remove_all(tree.root() + "/state");
    if (code == 0) break;
  }
  EXPECT_GT(die_at, 15) << "fewer steps than a life has";
}

TEST_F(EngineTest, LimitsAreNamed) {
  FaultEngineOptions options = Options();
  options.allowed = {"file"};
  options.max_duration_ns = 10 * kNsPerSecond;
  options.max_faults = 1;
  FaultEngineRun run(options, host, {});
  ASSERT_TRUE(run.engine().Start());
  EXPECT_EQ(run.Inject("a", "other", {}, 1000).error_code(), "permission_denied");
  EXPECT_EQ(run.Inject("a", "none", {}, 1000).error_code(), "unsupported");
  EXPECT_EQ(run.Inject("a", "file", {}, 0).error_message(), "duration: a fault must have one");
  EXPECT_EQ(run.Inject("a", "file", {}, 10'001).error_code(), "invalid_argument");
  EXPECT_EQ(run.Inject("a", "file", {}, 1000, {{"bad", "1"}}).error_message(),
            "parameters.bad: bad");
  EXPECT_EQ(ReadHost(), "original");
  ASSERT_EQ(run.Inject("a", "file", {}, 10'000).error_code(), "");
  EXPECT_EQ(run.Inject("b", "file", {}, 1000).error_code(), "resource_exhausted");
  v1::Command none;
  EXPECT_EQ(run.Call(none).error_code(), "unsupported");
}

TEST_F(EngineTest, SwitchedOffItInjectsNothing) {
  FaultEngineOptions options = Options();
  options.enabled = false;
  FaultEngineRun run(options, host, {});
  ASSERT_TRUE(run.engine().Start());
  EXPECT_EQ(run.Inject("a", "file", {}, 1000).error_code(), "permission_denied");
}

TEST_F(EngineTest, SameCommandTwiceInjectsOnce) {
  FaultEngineRun run(Options(), host, {});
  ASSERT_TRUE(run.engine().Start());
  ASSERT_EQ(run.Inject("a", "file", {}, 60'000).error_code(), "");
  ASSERT_TRUE(run.Wait("a", v1::FAULT_PHASE_VERIFIED));
  const int steps = g_step;
  EXPECT_EQ(run.Inject("a", "file", {}, 60'000).error_code(), "");
  EXPECT_EQ(g_step, steps);
}

TEST_F(EngineTest, DryRunOnlyPlans) {
  FaultEngineRun run(Options(), host, {});
  ASSERT_TRUE(run.engine().Start());
  const auto reply = run.Inject("a", "file", {}, 1000, {}, true);
  EXPECT_EQ(reply.faults(0).phase(), v1::FAULT_PHASE_PLANNED);
  EXPECT_EQ(g_step, 1);
  EXPECT_EQ(run.List().faults_size(), 0);
}

TEST_F(EngineTest, HalfAnInjectionIsUndone) {
  g_fail_inject = true;
  FaultEngineRun run(Options(), host, {});
  ASSERT_TRUE(run.engine().Start());
  EXPECT_EQ(run.Inject("a", "file", {}, 1000).error_message(), "cannot");
  EXPECT_EQ(ReadHost(), "original");
  const auto failed = run.Wait("a", v1::FAULT_PHASE_FAILED);
  ASSERT_TRUE(failed);
  EXPECT_EQ(failed->message(), "cannot");
}

TEST_F(EngineTest, VerifyThatCannotMeasureIsInconclusive) {
  g_fail_verify = true;
  FaultEngineRun run(Options(), host, {});
  ASSERT_TRUE(run.engine().Start());
  ASSERT_EQ(run.Inject("a", "file", {}, 60'000).error_code(), "");
  const auto verified = run.Wait("a", v1::FAULT_PHASE_VERIFIED);
  ASSERT_TRUE(verified);
  EXPECT_EQ(verified->effect().verdict(), v1::VERDICT_INCONCLUSIVE);
  EXPECT_EQ(verified->effect().reason(), "no instrument");
}

TEST_F(EngineTest, FailedRecoveryIsTriedAgain) {
  FaultEngineRun run(Options(), host, {});
  ASSERT_TRUE(run.engine().Start());
  ASSERT_EQ(run.Inject("a", "file", {}, 60'000).error_code(), "");
  g_failing_recoveries = 1;
  EXPECT_EQ(run.Recover("a", "halt").error_code(), "internal");
  const auto recovered = run.Wait("a", v1::FAULT_PHASE_RECOVERED, 5000);
  ASSERT_TRUE(recovered);
  EXPECT_EQ(recovered->cause_of_end(), "halt");
  EXPECT_EQ(ReadHost(), "original");
}

TEST_F(EngineTest, TwoEnginesCannotShareAJournal) {
  FaultEngineRun first(Options(), host, {});
  ASSERT_TRUE(first.engine().Start());
  FaultEngineRun second(Options(), host, {});
  EXPECT_EQ(second.engine().Start().error().code, ErrorCode::kUnavailable);
}

TEST_F(EngineTest, StopRecovers) {
  FaultEngineRun run(Options(), host, {});
  ASSERT_TRUE(run.engine().Start());
  ASSERT_EQ(run.Inject("a", "file", {}, 60'000).error_code(), "");
  run.engine().Stop();
  EXPECT_EQ(ReadHost(), "original");
  EXPECT_EQ(run.Wait("a", v1::FAULT_PHASE_RECOVERED)->cause_of_end(), "restart");
}

}  // namespace
}  // namespace faultline
