// Fingerprints of a host: two looks at an untouched one are equal, each change is seen, and faults
// that share a value leave it as the first of them found it.
#include "agent/faults/claims.h"

#include <gtest/gtest.h>

#include "agent/faults/layered_value.h"
#include "tests/support/fault_stage.h"

namespace faultline {
namespace {

class Claims : public testing::Test {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "needs root: makes cgroups and namespaces";
    stage.emplace(view);
    if (!stage->made()) GTEST_SKIP() << "cgroups cannot be made here";
    host.host = &view;
    host.mounts = stage->victim().mounts();
  }
  std::string Value(const std::string& claim) {
    const auto value = ReadClaim(claim, host);
    EXPECT_TRUE(value) << claim << ": " << value.error().message;
    return value.value_or("");
  }
  void InVictim(const std::string& command) {
    EXPECT_TRUE(FaultStage::Run(
        fmt::format("nsenter --net=/proc/{}/ns/net {}", stage->victim().pid(), command)))
        << command;
  }

  SystemClock clock;
  HostView view = HostView::Real("/", &clock);
  FaultHost host;
  std::optional<FaultStage> stage;
};

TEST_F(Claims, NetworkChangesAreSeen) {
  if (!stage->networked()) GTEST_SKIP() << "no network namespaces here";
  const std::string network =
      NetworkNamespaceOf(view, static_cast<uint32_t>(stage->victim().pid()));
  ASSERT_NE(network, "");
  const std::string qdisc = "qdisc:" + network + ":eth0";
  const std::string nft = "nft:" + network;
  const std::string link = "link:" + network + ":eth0";
  const std::string was_qdisc = Value(qdisc), was_nft = Value(nft), was_link = Value(link);
  EXPECT_EQ(Value(qdisc), was_qdisc);
  InVictim("tc qdisc add dev eth0 clsact");
  EXPECT_NE(Value(qdisc), was_qdisc);
  InVictim("tc qdisc del dev eth0 clsact");
  EXPECT_EQ(Value(qdisc), was_qdisc);
  InVictim("nft add table inet flt");
  EXPECT_NE(Value(nft), was_nft);
  InVictim("nft delete table inet flt");
  EXPECT_EQ(Value(nft), was_nft);
  InVictim("ip link set dev eth0 mtu 1400");
  EXPECT_NE(Value(link), was_link);
  EXPECT_EQ(Value("qdisc:/proc/1/no-such:eth0"), kAbsent);
}

TEST_F(Claims, FilesFoldersAndMounts) {
  const std::string file = "file:" + stage->file(), folder = "folder:" + stage->folder();
  const std::string was_file = Value(file), was_folder = Value(folder);
  std::ofstream(stage->file(), std::ios::app) << "x";
  EXPECT_NE(Value(file), was_file);
  std::ofstream(stage->folder() + "/another") << "x";
  EXPECT_NE(Value(folder), was_folder);
  EXPECT_EQ(Value("mounts:" + stage->folder()), "0 mounts");
  EXPECT_EQ(ReadClaim("nonsense:", host).error().code, ErrorCode::kInvalidArgument);
}

// Two limits on one file: the newest holds; whoever leaves first, the last one leaves the first
// value.
TEST_F(Claims, SharedValuesComeBackInAnyOrder) {
  const auto folders = stage->victim().folders();
  const CgroupFolder* folder = FolderOf(folders, "memory");
  if (folder == nullptr) GTEST_SKIP() << "no memory hierarchy";
  const std::string path =
      folder->path + (folder->controller.empty() ? "/memory.max" : "/memory.limit_in_bytes");
  const std::string claim = "control:" + path;
  const std::string before = Value(claim);
  for (const bool first_leaves_first : {true, false}) {
    FaultPlan first, second;
    ClaimControl(first, path, "134217728");
    ASSERT_TRUE(FillClaims(first, host));
    ASSERT_TRUE(ApplyControls(first, host));
    FaultHost seen = host;
    seen.others = {first};
    ClaimControl(second, path, "67108864");
    ASSERT_TRUE(FillClaims(second, seen));
    EXPECT_EQ(second.claims.at(claim), before) << "what was there before the first";
    ASSERT_TRUE(ApplyControls(second, seen));
    EXPECT_EQ(Value(claim), "67108864");
    seen.others = {first_leaves_first ? second : first};
    ASSERT_TRUE(RestoreControls(first_leaves_first ? first : second, seen));
    EXPECT_EQ(Value(claim), first_leaves_first ? "67108864" : "134217728")
        << "the one that stays holds";
    EXPECT_TRUE(CompareClaims(first_leaves_first ? first : second, seen).empty())
        << "it is the other's now";
    ASSERT_TRUE(RestoreControls(first_leaves_first ? second : first, host));
    EXPECT_EQ(Value(claim), before);
    EXPECT_TRUE(CompareClaims(second, host).empty());
  }
}

}  // namespace
}  // namespace faultline
