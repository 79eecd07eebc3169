// What every fault of the catalogue must do, whatever it does: refuse what it cannot honour by the
// parameter's name, name its victims, show its effect by measurement, and leave the host as it was,
// also from the plan alone and twice.
#include <gtest/gtest.h>

#include <fmt/ranges.h>

#include <map>

#include "agent/faults/fault_recovery.h"
#include "tests/support/fault_victim.h"
#include "tests/support/paths.h"

namespace faultline {
namespace {

struct Example {
  std::map<std::string, std::string> parameters;  // of a good injection into a cgroup
  std::vector<std::pair<std::string, std::string>> bad_parameters;  // each alone is refused
};

const std::map<std::string, Example>& Examples() {
  static const std::map<std::string, Example> kExamples = {
      {"cpu_stress",
       {{{"workers", "1"}, {"load", "30"}},
        {{"workers", "0"},
         {"workers", "many"},
         {"workers", "100000"},
         {"load", "0"},
         {"load", "101"},
         {"size", "1"}}}},
      {"process_stop", {{}, {{"signal", "9"}}}},
  };
  return kExamples;
}

class Conformance : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "needs root: makes cgroups";
    victim.emplace(view, 10);
    if (!victim->made()) GTEST_SKIP() << "cgroups cannot be made here";
    host.host = &view;
    host.mounts = victim->mounts();
    host.worker_program = BinaryDir() + "/bin/faultline-guardian";
    host.protected_pids = {static_cast<uint32_t>(getpid())};
    ASSERT_TRUE(Examples().contains(GetParam())) << "no example: add one above";
    spec.uid = fmt::format("conformance-{}-{}", GetParam(), getpid());
    spec.fault = GetParam();
    spec.parameters = Examples().at(GetParam()).parameters;
    spec.target.set_cgroup(victim->path());
    spec.duration_ms = 60'000;
  }
  void TearDown() override {
    if (plan) (void)Make()->Recover(*plan, host);
  }
  std::unique_ptr<Fault> Make() { return MakeFault(FaultCatalogue(), GetParam()); }
  // Through the journal's bytes, as another process would have it.
  FaultPlan Remembered() {
    v1::FaultJournalEntry entry;
    entry.set_fault_uid(spec.uid);
    entry.set_fault(spec.fault);
    entry.set_phase(v1::FAULT_JOURNAL_PHASE_ACTIVE);
    entry.mutable_parameters()->insert(spec.parameters.begin(), spec.parameters.end());
    *entry.mutable_target() = spec.target;
    entry.set_duration_ms(spec.duration_ms);
    entry.mutable_state()->insert(plan->state.begin(), plan->state.end());
    entry.mutable_before()->insert(plan->before.begin(), plan->before.end());
    return PlanOf(*DecodeJournalEntry(EncodeJournalEntry(entry)));
  }
  v1::Verdict Verdict() { return Make()->Verify(*plan, host).value_or(v1::Effect()).verdict(); }

  SystemClock clock;
  HostView view = HostView::Real("/", &clock);
  FaultHost host;
  std::optional<FaultVictim> victim;
  FaultSpec spec;
  std::optional<FaultPlan> plan;
};

TEST_P(Conformance, BadParametersAreRefusedByName) {
  for (const auto& [name, value] : Examples().at(GetParam()).bad_parameters) {
    FaultSpec bad = spec;
    bad.parameters[name] = value;
    const auto planned = Make()->Plan(bad, host);
    ASSERT_FALSE(planned) << name << "=" << value;
    EXPECT_EQ(planned.error().code, ErrorCode::kInvalidArgument);
    EXPECT_NE(planned.error().message.find("parameters." + name), std::string::npos)
        << planned.error().message;
  }
  FaultSpec nowhere = spec;
  nowhere.target.set_cgroup("/no/such/cgroup");
  EXPECT_EQ(Make()->Plan(nowhere, host).error().code, ErrorCode::kNotFound);
  nowhere.target.set_cgroup("/../../etc");
  EXPECT_EQ(Make()->Plan(nowhere, host).error().code, ErrorCode::kInvalidArgument);
}

TEST_P(Conformance, InjectShowsAndRecoverRestores) {
  auto planned = Make()->Plan(spec, host);
  ASSERT_TRUE(planned) << planned.error().message;
  plan = *planned;
  EXPECT_FALSE(plan->victims.empty());
  EXPECT_NE(fmt::format("{}", fmt::join(plan->victims, " ")).find(victim->path()),
            std::string::npos);
  const auto before = Make()->Verify(*plan, host);
  ASSERT_TRUE(before);
  EXPECT_NE(before->verdict(), v1::VERDICT_TRUE) << "nothing was injected yet";
  ASSERT_FALSE(before->measurements().empty());
  for (const auto& measurement : before->measurements())
    plan->before[measurement.name()] = measurement.during();
  EXPECT_TRUE(Make()->Residue(*plan, host).empty()) << "planning changes nothing";
  ASSERT_TRUE(Make()->Inject(*plan, host));
  EXPECT_EQ(Verdict(), v1::VERDICT_TRUE);
  EXPECT_FALSE(Make()->Residue(*plan, host).empty()) << "what is in force can be seen";
  ASSERT_TRUE(Make()->Recover(Remembered(), host));
  EXPECT_TRUE(Make()->Residue(*plan, host).empty());
  EXPECT_NE(Verdict(), v1::VERDICT_TRUE);
  ASSERT_TRUE(Make()->Recover(Remembered(), host)) << "twice";
  EXPECT_GT(victim->CpuCores(500), 0.02) << "the victim goes on";
}

TEST_P(Conformance, RecoverWithoutInjectAndWithoutTargetIsFine) {
  auto planned = Make()->Plan(spec, host);
  ASSERT_TRUE(planned);
  plan = *planned;
  EXPECT_TRUE(Make()->Recover(Remembered(), host));
  EXPECT_GT(victim->CpuCores(500), 0.02);
  ASSERT_TRUE(Make()->Inject(*plan, host));
  // The target goes away while the fault is in force.
  EXPECT_TRUE(Make()->Recover(Remembered(), host));
  victim.reset();
  EXPECT_TRUE(Make()->Recover(Remembered(), host));
  EXPECT_TRUE(Make()->Residue(*plan, host).empty());
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
