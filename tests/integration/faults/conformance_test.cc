// What every fault of the catalogue must do, whatever it does: refuse what it cannot honour by the
// parameter's name, name its victims, show its effect by measurement, and leave the host as it was,
// also from the plan alone, twice, and after it was killed half way. The catalogue's own rows say
// what is good (example) and what is bad (kinds and bounds): a new fault needs nothing here.
#include <gtest/gtest.h>

#include <fmt/ranges.h>

#include <map>
#include <random>

#include "agent/faults/claims.h"
#include "agent/faults/fault_recovery.h"
#include "tests/support/fault_stage.h"
#include "tests/support/paths.h"

namespace faultline {
namespace {

class Conformance : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "needs root: makes cgroups and namespaces";
    stage.emplace(view);
    if (!stage->made()) GTEST_SKIP() << "cgroups cannot be made here";
    host.host = &view;
    host.mounts = stage->victim().mounts();
    host.worker_program = BinaryDir() + "/bin/faultline-guardian";
    host.protected_pids = {static_cast<uint32_t>(getpid())};
    host.journal_folder = stage->folder() + "/../journal";
    row = FindFault(FaultCatalogue(), GetParam());
    spec.uid = fmt::format("conformance-{}-{}", GetParam(), getpid());
    spec.fault = GetParam();
    spec.target.set_cgroup(stage->victim().path());
    spec.duration_ms = 60'000;
    const auto checked =
        AcceptParameters(row->parameters, stage->Parameters(row->example), row->name);
    ASSERT_TRUE(checked) << "the example of the catalogue: " << checked.error().message;
    spec.parameters = *checked;
  }
  void TearDown() override {
    if (plan) (void)Make()->Recover(*plan, host);
  }
  std::unique_ptr<Fault> Make() { return row->make(); }
  // With its claims filled in, as the engine does it; skips what this machine cannot do.
  Result<FaultPlan> PlanNow() {
    FAULTLINE_ASSIGN(FaultPlan planned, Make()->Plan(spec, host));
    FAULTLINE_TRY(FillClaims(planned, host));
    return planned;
  }
  // Through the journal's bytes, as another process would have it.
  FaultPlan Remembered() {
    v1::FaultJournalEntry entry;
    entry.set_fault_uid(spec.uid);
    entry.set_fault(spec.fault);
    entry.set_phase(v1::FAULT_JOURNAL_PHASE_ACTIVE);
    SetPlan(entry, *plan);
    entry.mutable_before()->insert(plan->before.begin(), plan->before.end());
    return PlanOf(*DecodeJournalEntry(EncodeJournalEntry(entry)));
  }
  v1::Effect Look() { return Make()->Verify(*plan, host).value_or(v1::Effect()); }
  std::vector<std::string> Left() {
    auto left = Make()->Residue(*plan, host);
    for (auto& differing : CompareClaims(*plan, host)) left.push_back(std::move(differing));
    return left;
  }

  SystemClock clock;
  HostView view = HostView::Real("/", &clock);
  FaultHost host;
  std::optional<FaultStage> stage;
  const FaultRow* row = nullptr;
  FaultSpec spec;
  std::optional<FaultPlan> plan;
};

// Skips what this machine cannot do, and what no test must do.
#define PLAN_OR_SKIP()                                                                    \
  do {                                                                                    \
    auto planned = PlanNow();                                                             \
    const bool unsupported = !planned && planned.error().code == ErrorCode::kUnsupported; \
    if (unsupported || (!planned && row->must_be_allowed && row->example.empty()))        \
      GTEST_SKIP() << "not on this machine: " << planned.error().message;                 \
    ASSERT_TRUE(planned) << planned.error().message;                                      \
    plan = *planned;                                                                      \
  } while (false)

TEST_P(Conformance, BadParametersAreRefusedByName) {
  const auto refused = [&](const std::string& name, const std::string& value) {
    ParameterTexts bad = spec.parameters;
    bad[name] = value;
    const auto checked = AcceptParameters(row->parameters, bad, row->name);
    ASSERT_FALSE(checked) << name << "=" << value;
    EXPECT_EQ(checked.error().code, ErrorCode::kInvalidArgument);
    EXPECT_NE(checked.error().message.find("parameters." + name), std::string::npos)
        << checked.error().message;
  };
  refused("no-such-parameter", "1");
  for (const ParameterRow& parameter : row->parameters) {
    EXPECT_FALSE(parameter.doc.empty()) << parameter.name << " needs a line of documentation";
    for (const std::string& value : BadValues(parameter))
      refused(std::string(parameter.name), value);
    if (!parameter.required) continue;
    ParameterTexts without = spec.parameters;
    without.erase(std::string(parameter.name));
    EXPECT_FALSE(AcceptParameters(row->parameters, without, row->name)) << parameter.name;
  }
}

TEST_P(Conformance, TargetsThatAreNotThereAreRefused) {
  PLAN_OR_SKIP();
  if (plan->State("target") == "node") GTEST_SKIP() << "is about the node, not about a target";
  FaultSpec nowhere = spec;
  nowhere.target.set_cgroup("/no/such/cgroup");
  EXPECT_EQ(Make()->Plan(nowhere, host).error().code, ErrorCode::kNotFound);
  nowhere.target.set_cgroup("/../../etc");
  EXPECT_EQ(Make()->Plan(nowhere, host).error().code, ErrorCode::kInvalidArgument);
}

TEST_P(Conformance, InjectShowsAndRecoverRestores) {
  PLAN_OR_SKIP();
  EXPECT_FALSE(plan->victims.empty());
  const v1::Effect before = Look();
  EXPECT_NE(before.verdict(), v1::VERDICT_TRUE) << "nothing was injected yet";
  ASSERT_FALSE(before.measurements().empty());
  for (const auto& measurement : before.measurements())
    plan->before[measurement.name()] = measurement.during();
  EXPECT_TRUE(Left().empty()) << fmt::format("planning changes nothing: {}",
                                             fmt::join(Left(), "; "));
  const auto injected = Make()->Inject(*plan, host);
  ASSERT_TRUE(injected) << injected.error().message;
  const v1::Effect during = Look();
  EXPECT_EQ(during.verdict(), v1::VERDICT_TRUE) << during.ShortDebugString();
  std::printf("  %s: %s\n", GetParam().c_str(), during.reason().c_str());
  if (row->one_shot) return;
  EXPECT_FALSE(Left().empty()) << "what is in force can be seen";
  const auto recovered = Make()->Recover(Remembered(), host);
  ASSERT_TRUE(recovered) << recovered.error().message;
  EXPECT_TRUE(Left().empty()) << fmt::format("{}", fmt::join(Left(), "; "));
  EXPECT_NE(Look().verdict(), v1::VERDICT_TRUE) << Look().ShortDebugString();
  ASSERT_TRUE(Make()->Recover(Remembered(), host)) << "twice";
  EXPECT_TRUE(Left().empty()) << fmt::format("{}", fmt::join(Left(), "; "));
  EXPECT_GT(stage->victim().CpuCores(500), 0.02) << "the victim goes on";
}

TEST_P(Conformance, RecoverWithoutInjectAndWithoutTargetIsFine) {
  PLAN_OR_SKIP();
  EXPECT_TRUE(Make()->Recover(Remembered(), host));
  EXPECT_GT(stage->victim().CpuCores(500), 0.02);
  ASSERT_TRUE(Make()->Inject(*plan, host));
  // The target goes away while the fault is in force.
  stage->EndVictim();
  EXPECT_TRUE(Make()->Recover(Remembered(), host));
  EXPECT_TRUE(Left().empty()) << fmt::format("{}", fmt::join(Left(), "; "));
}

// A process that injects is killed at some moment of it; what it leaves is undone from the plan.
TEST_P(Conformance, KilledWhileItInjectsItIsUndone) {
  PLAN_OR_SKIP();
  if (row->one_shot) GTEST_SKIP() << "nothing to undo";
  const uint32_t seed = std::random_device()();
  std::printf("  seed %u\n", seed);
  std::minstd_rand random(seed);
  for (int round = 0; round < 5; ++round) {
    int go[2];
    ASSERT_EQ(pipe(go), 0);
    const pid_t injector = fork();
    if (injector == 0) {
      if (write(go[1], "g", 1) != 1) _exit(1);
      (void)Make()->Inject(*plan, host);
      _exit(0);
    }
    char byte = 0;
    ASSERT_EQ(read(go[0], &byte, 1), 1);
    close(go[0]);
    close(go[1]);
    // Mostly within the first milliseconds: there it happens.
    usleep(static_cast<useconds_t>(random() % (round % 2 == 0 ? 3'000 : 30'000)));
    kill(injector, SIGKILL);
    waitpid(injector, nullptr, 0);
    const auto recovered = Make()->Recover(Remembered(), host);
    ASSERT_TRUE(recovered) << recovered.error().message;
    EXPECT_TRUE(Left().empty()) << fmt::format("{}", fmt::join(Left(), "; "));
  }
  EXPECT_GT(stage->victim().CpuCores(500), 0.02) << "the victim goes on";
}

// A second one of the same kind on the same target, removed in either order.
TEST_P(Conformance, TwoOfAKindComeAndGoInAnyOrder) {
  PLAN_OR_SKIP();
  if (row->one_shot) GTEST_SKIP() << "nothing to undo";
  for (const bool first_leaves_first : {true, false}) {
    FaultHost seen = host;
    // As the engine does: what a measurement is compared with is measured before.
    const auto before = Make()->Verify(*plan, host);
    ASSERT_TRUE(before) << before.error().message;
    for (const auto& measurement : before->measurements())
      plan->before[measurement.name()] = measurement.during();
    ASSERT_TRUE(Make()->Inject(*plan, seen));
    seen.others = {*plan};
    FaultSpec again = spec;
    again.uid += "-two";
    auto second = Make()->Plan(again, seen);
    if (!second && first_leaves_first &&
        (second.error().code == ErrorCode::kConflict ||
         second.error().code == ErrorCode::kUnsupported)) {
      ASSERT_TRUE(Make()->Recover(Remembered(), host));
      GTEST_SKIP() << "one at a time, it says: " << second.error().message;
    }
    ASSERT_TRUE(second) << second.error().message;
    second->before = plan->before;
    ASSERT_TRUE(FillClaims(*second, seen));
    ASSERT_TRUE(Make()->Inject(*second, seen));
    const FaultPlan& leaves = first_leaves_first ? *plan : *second;
    const FaultPlan& stays = first_leaves_first ? *second : *plan;
    seen.others = {stays};
    ASSERT_TRUE(Make()->Recover(leaves, seen));
    const auto effect = Make()->Verify(stays, host);
    ASSERT_TRUE(effect);
    EXPECT_EQ(effect->verdict(), v1::VERDICT_TRUE)
        << "the one that stays is still in force: " << effect->ShortDebugString();
    ASSERT_TRUE(Make()->Recover(stays, host));
    EXPECT_TRUE(Left().empty()) << fmt::format("{}", fmt::join(Left(), "; "));
  }
}

std::vector<std::string> Names() {
  std::vector<std::string> names;
  for (const FaultRow& row : FaultCatalogue()) names.emplace_back(row.name);
  return names;
}

INSTANTIATE_TEST_SUITE_P(Catalogue, Conformance, testing::ValuesIn(Names()),
                         [](const testing::TestParamInfo<std::string>& row) { return row.param; });

}  // namespace
}  // namespace faultline
