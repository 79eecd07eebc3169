// A probe that costs more than all may cost is taken out of the kernel, says so, and comes back.
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/support/probe_pass.h"

namespace faultline {
namespace {

class ProbeBudgetTest : public ProbePass {
 protected:
  std::unique_ptr<Collector> MakeBudget() {
    for (const CollectorRow& row : ProbeCatalogue()) {
      if (row.name != "budget") continue;
      auto made = row.make(LeafContext{host_, config_, index_.get()});
      if (made) return std::move(*made);
    }
    return nullptr;
  }
  static void Call(int count) {
    for (int i = 0; i < count; ++i) syscall(SYS_getppid);
  }
};

TEST_F(ProbeBudgetTest, TheMostExpensiveIsShedAudiblyAndTriedAgain) {
  auto& budget_config = *config_.mutable_probes()->mutable_budget();
  budget_config.set_cpu_percent(0.001);
  budget_config.mutable_retry()->set_seconds(3600);
  if (!Make("syscalls")) return;
  auto budget = MakeBudget();
  if (budget == nullptr) GTEST_SKIP() << "the kernel does not time BPF programs for us";
  RecordingEmitter told;
  for (int pass = 0; pass < 10 && told.events.empty(); ++pass) {
    EXPECT_TRUE(budget->Collect(told));
    Call(20'000);
  }
  ASSERT_EQ(told.events.size(), 1U);
  EXPECT_EQ(told.events[0].first.type(), "probe_shed");
  EXPECT_NE(told.events[0].first.message().find("probe syscalls is off"), std::string::npos);
  RecordingEmitter pass;
  const auto result = probe_->Collect(pass);
  ASSERT_FALSE(result);
  EXPECT_NE(result.error().message.find("shed: its programs used"), std::string::npos);
  told.Clear();
  EXPECT_TRUE(budget->Collect(told));
  EXPECT_EQ(told.Value(R"(faultline_probe_shed{probe="syscalls"})"), 1);

  // A new budget with a short retry has nobody to restore; the probe made anew works again.
  budget.reset();
  if (!Load("syscalls")) return;
  Collect();
  Call(1000);
  Collect();
  EXPECT_GT(Value("", R"(faultline_probe_produced_total{probe="syscalls"})"), 0);
}

TEST_F(ProbeBudgetTest, WhatWasShedComesBackAfterTheRetry) {
  auto& budget_config = *config_.mutable_probes()->mutable_budget();
  budget_config.set_cpu_percent(0.001);
  budget_config.mutable_retry()->set_nanos(1);
  if (!Make("syscalls")) return;
  auto budget = MakeBudget();
  if (budget == nullptr) GTEST_SKIP() << "the kernel does not time BPF programs for us";
  RecordingEmitter told;
  for (int pass = 0; pass < 10 && told.events.empty(); ++pass) {
    EXPECT_TRUE(budget->Collect(told));
    Call(20'000);
  }
  ASSERT_EQ(told.events.size(), 1U);
  EXPECT_FALSE(probe_->Collect(told));
  EXPECT_TRUE(budget->Collect(told));
  Collect();
  const double before = Value("", R"(faultline_probe_produced_total{probe="syscalls"})");
  Call(5000);
  Collect();
  EXPECT_GE(Value("", R"(faultline_probe_produced_total{probe="syscalls"})"), before + 5000);
}

}  // namespace
}  // namespace faultline
