// Every condition is caused by a fixture (a host on which it is so), seen, cured and seen to be
// gone; and on a host that has no such thing it does not apply.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "agent/checks/builtin/check.h"
#include "tests/support/check_cases.h"
#include "tests/support/temp_tree.h"

namespace faultline {
namespace {

class Detection : public ::testing::TestWithParam<CheckCase> {
 protected:
  void Put(const CaseFiles& files) {
    for (const auto& [path, text] : files) {
      if (path.starts_with('-')) {
        tree_.Remove(path.substr(1));
      } else {
        tree_.File(path, text);
      }
    }
  }
  TempTree tree_;
  ManualClock clock_{1'700'000'000 * kNsPerSecond};
};

bool IsTrouble(const Finding& finding) {
  return finding.verdict == v1::CHECK_VERDICT_DEGRADED ||
         finding.verdict == v1::CHECK_VERDICT_PROBLEM;
}

TEST_P(Detection, AppearsAndClears) {
  const CheckCase& one = GetParam();
  const CheckRow* row = FindCheck(one.name);
  ASSERT_NE(row, nullptr);
  const HostView host = HostView::Real(tree_.root(), &clock_);
  {
    const auto empty = *MakeCheck(*row, {});
    EXPECT_NE(empty->Evaluate(host).verdict, v1::CHECK_VERDICT_OK)
        << "a host that has no such thing is not ok";
    const auto asked = (*MakeCheck(*row, one.parameters))->Evaluate(host);
    EXPECT_FALSE(IsTrouble(asked)) << "nor in trouble: " << asked.message;
  }
  const auto made = MakeCheck(*row, one.parameters);
  ASSERT_TRUE(made) << made.error().message;
  Put(one.before);
  if (!one.before.empty()) {
    EXPECT_FALSE(IsTrouble((*made)->Evaluate(host)));
  }
  Put(one.bad);
  const Finding bad = (*made)->Evaluate(host);
  EXPECT_TRUE(IsTrouble(bad)) << static_cast<int>(bad.verdict) << " " << bad.message;
  EXPECT_FALSE(bad.message.empty());
  Put(one.good);
  const Finding good = (*made)->Evaluate(host);
  EXPECT_FALSE(IsTrouble(good)) << good.message;
}

INSTANTIATE_TEST_SUITE_P(Builtin, Detection, ::testing::ValuesIn(CheckCases()),
                         [](const auto& one) { return std::string(one.param.name); });

// Those that the fixtures above cannot cause: they ask the kernel, a library or the network.
TEST(BuiltinChecks, TheOthersAnswerOnThisMachine) {
  const SystemClock clock;
  const HostView host = HostView::Real("/", &clock);
  for (const char* name : {"disk_space",        "disk_inodes",     "mount_hang",
                           "disk_smart",        "clock_sync",      "dns",
                           "node_latency",      "systemd_units",   "fd_processes",
                           "certificates",      "gpu_count",       "gpu_ecc",
                           "gpu_remapped_rows", "gpu_temperature", "gpu_throttle",
                           "gpu_nvlink",        "gpu_persistence", "gpu_clocks",
                           "gpu_pcie",          "gpu_hang",        "gpu_performance",
                           "gpu_power",         "gpu_driver"}) {
    const CheckRow* row = FindCheck(name);
    ASSERT_NE(row, nullptr) << name;
    const Finding finding = (*MakeCheck(*row, {}))->Evaluate(host);
    EXPECT_FALSE(finding.message.empty()) << name;
  }
}

TEST(BuiltinChecks, ThresholdsAndUnknownParameters) {
  const SystemClock clock;
  const HostView host = HostView::Real("/", &clock);
  const auto full = MakeCheck(*FindCheck("disk_space"), {{"warn", "0"}, {"crit", "101"}});
  const Finding finding = (*full)->Evaluate(host);
  EXPECT_TRUE(finding.verdict == v1::CHECK_VERDICT_DEGRADED ||
              finding.verdict == v1::CHECK_VERDICT_NOT_APPLICABLE);
  EXPECT_EQ(MakeCheck(*FindCheck("psi_io"), {{"worn", "1"}}).error().message,
            "psi_io: parameters.worn: unknown; there are: crit, warn");
  EXPECT_EQ(MakeCheck(*FindCheck("psi_io"), {{"warn", "much"}}).error().message,
            "psi_io: parameters.warn: `much` is no number");
  const auto peers = MakeCheck(*FindCheck("node_latency"), {{"peers", "127.0.0.1:1"}});
  EXPECT_EQ((*peers)->Evaluate(host).verdict, v1::CHECK_VERDICT_PROBLEM);
  const auto name = MakeCheck(*FindCheck("dns"), {{"name", "no-such-name.invalid"}});
  EXPECT_EQ((*name)->Evaluate(host).verdict, v1::CHECK_VERDICT_PROBLEM);
}

TEST(BuiltinChecks, CatalogueIsWhole) {
  std::set<std::string_view> names;
  for (const CheckRow& row : CheckCatalogue()) {
    EXPECT_TRUE(names.insert(row.name).second) << row.name;
    EXPECT_FALSE(row.condition.empty());
    EXPECT_GE(row.interval_s, 30) << row.name;
    EXPECT_TRUE(MakeCheck(row, {})) << row.name;
  }
  EXPECT_GE(names.size(), 60u);
}

}  // namespace
}  // namespace faultline
