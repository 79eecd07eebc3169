// What fixture folders cannot say: changes between passes, broken files, the running kernel.
#include <sys/statvfs.h>

#include <filesystem>

#include "tests/support/collector_pass.h"
#include "tests/support/temp_tree.h"

namespace faultline {
namespace {

TEST(Cpu, CountersNeverStepBack) {
  TempTree tree;
  tree.File("/proc/stat", "cpu0 100 0 50 1000 20 0 0 0 0 0\n");
  CollectorPass pass("cpu", tree.root());
  pass.Run();
  tree.File("/proc/stat", "cpu0 110 0 40 990 10 0 0 0 0 0\n");
  pass.Run();
  const auto mode = [&](std::string_view name) {
    return pass.out.Value(fmt::format("node_cpu_seconds_total{{cpu=\"0\",mode=\"{}\"}}", name));
  };
  EXPECT_EQ(mode("user"), 1.1);
  EXPECT_EQ(mode("system"), 0.5);
  EXPECT_EQ(mode("idle"), 10);
  EXPECT_EQ(mode("iowait"), 0.2);
}

TEST(Cpu, UnpluggedCpuBeginsAnew) {
  TempTree tree;
  tree.File("/proc/stat", "cpu1 100 0 50 1000 20 0 0 0 0 0\n");
  CollectorPass pass("cpu", tree.root());
  pass.Run();
  tree.File("/proc/stat", "cpu1 1 0 2 3 0 0 0 0 0 0\n");
  pass.Run();
  EXPECT_EQ(pass.out.Value("node_cpu_seconds_total{cpu=\"1\",mode=\"user\"}"), 0.01);
}

TEST(BrokenFiles, AreReportedWithTheirPath) {
  const std::pair<std::string_view, std::string_view> cases[] = {
      {"loadavg", "/proc/loadavg"},          {"meminfo", "/proc/meminfo"},
      {"filefd", "/proc/sys/fs/file-nr"},    {"netdev", "/proc/net/dev"},
      {"softnet", "/proc/net/softnet_stat"}, {"sockstat", "/proc/net/sockstat"},
      {"diskstats", "/proc/diskstats"},      {"pressure", "/proc/pressure/cpu"}};
  for (const auto& [collector, path] : cases) {
    TempTree tree;
    tree.File(path, "what: is this 8 x\nsecond line x 9 9 9 9\n");
    CollectorPass pass(collector, tree.root());
    const std::string said = pass.Run();
    EXPECT_TRUE(said.starts_with("corruption: ")) << collector << ": " << said;
    EXPECT_NE(said.find(path), std::string::npos) << said;
  }
}

TEST(Netclass, DeviceThatGoesAwayIsForgotten) {
  TempTree tree;
  tree.File("/sys/class/net/eth0/mtu", "1500\n");
  tree.File("/sys/class/net/eth1/mtu", "9000\n");
  CollectorPass pass("netclass", tree.root());
  EXPECT_NE(pass.Run().find("node_network_mtu_bytes{device=\"eth1\"} 9000\n"), std::string::npos);
  tree.Remove("/sys/class/net/eth1");
  EXPECT_EQ(pass.Run().find("eth1"), std::string::npos);
}

TEST(Exclusions, AreConfigurableAndChecked) {
  v1::AgentConfig config;
  (*config.mutable_collectors())["netdev"].set_exclude("^(lo|eth0)$");
  CollectorPass pass("netdev", CollectorPass::Fixture("host-small"), config);
  const std::string text = pass.Run();
  EXPECT_EQ(text.find("eth0"), std::string::npos);
  EXPECT_NE(text.find("veth1"), std::string::npos);
  (*config.mutable_collectors())["netdev"].set_exclude("(");
  CollectorPass wrong("netdev", CollectorPass::Fixture("host-small"), config);
  ASSERT_FALSE(wrong.result());
  EXPECT_EQ(wrong.result().error().code, ErrorCode::kInvalidArgument);
}

TEST(Os, FollowsTheFile) {
  TempTree tree;
  tree.File("/usr/lib/os-release", "ID=old\nVERSION_ID=1\n");
  CollectorPass pass("os", tree.root());
  EXPECT_NE(pass.Run().find("id=\"old\""), std::string::npos);
  tree.File("/etc/os-release", "ID=new\nVERSION_ID=9.4\nSUPPORT_END=2030-01-01\n");
  pass.Run();
  EXPECT_EQ(pass.out.Value("node_os_version{id=\"new\",id_like=\"\",name=\"\"}"), 9.4);
  EXPECT_EQ(pass.out.Value("node_os_support_end_timestamp_seconds"), 1893456000);
}

TEST(Filesystem, AsksRealMountsAndExcludesOthers) {
  TempTree tree;
  tree.Folder("/srv/with blank");
  tree.File(
      "/proc/1/mounts",
      "/dev/vda / ext4 rw,relatime 0 0\n/dev/vda / ext4 rw,relatime 0 0\n"
      "disk /srv/with\\040blank ext4 ro,nodev 0 0\nproc /proc proc rw 0 0\nx /mnt/a ext4 rw 0 0\n"
      "server:/gone /gone nfs rw 0 0\nbroken\n");
  CollectorPass pass("filesystem", tree.root());
  pass.Run();
  const auto value = [&](std::string_view name, std::string_view labels) {
    return pass.out.Value(fmt::format("node_filesystem_{}{{{}}}", name, labels));
  };
  const std::string root = R"(device="/dev/vda",fstype="ext4",mountpoint="/")";
  const std::string blank = R"(device="disk",fstype="ext4",mountpoint="/srv/with blank")";
  struct statvfs usage{};
  ASSERT_EQ(statvfs(tree.root().c_str(), &usage), 0);
  EXPECT_EQ(value("size_bytes", root),
            static_cast<double>(usage.f_blocks) * static_cast<double>(usage.f_frsize));
  EXPECT_EQ(value("files", root), static_cast<double>(usage.f_files));
  EXPECT_EQ(value("readonly", root), 0);
  EXPECT_EQ(value("readonly", blank), 1);
  EXPECT_EQ(value("device_error", blank), 0);
  EXPECT_EQ(value("device_error", R"(device="server:/gone",fstype="nfs",mountpoint="/gone")"), 1);
  EXPECT_EQ(pass.out.samples.size(), 7u + 7u + 1u);
}

class TextfileTest : public ::testing::Test {
 protected:
  TextfileTest() { (*config_.mutable_collectors())["textfile"].add_directory("/drop"); }
  TempTree tree_;
  v1::AgentConfig config_;
};

TEST_F(TextfileTest, TakesFilesWholeOrNotAtAll) {
  tree_.File("/drop/good.prom", "# TYPE a gauge\na{x=\"1\"} 2\n");
  tree_.File("/drop/late.prom", "stamped 1 1795176000000\n");
  tree_.File("/drop/bad.prom", "b 1\nb{ 2\n");
  tree_.File("/drop/other.txt", "c 1\n");
  CollectorPass pass("textfile", tree_.root(), config_);
  pass.Run();
  EXPECT_EQ(pass.out.Value("a{x=\"1\"}"), 2);
  EXPECT_EQ(pass.out.Value("node_textfile_scrape_error"), 1);
  EXPECT_EQ(pass.out.samples.size(), 3u);  // a, its file's mtime, the error
  EXPECT_EQ(pass.out.samples[0].help, "Metric read from /drop/good.prom");
  tree_.Remove("/drop/bad.prom");
  tree_.Remove("/drop/late.prom");
  pass.Run();
  EXPECT_EQ(pass.out.Value("node_textfile_scrape_error"), 0);
}

TEST_F(TextfileTest, FollowsChangesAndForgetsRemovedFiles) {
  tree_.File("/drop/a.prom", "a 1\n");
  CollectorPass pass("textfile", tree_.root(), config_);
  pass.Run();
  tree_.File("/drop/a.prom", "a 22\n");
  pass.Run();
  EXPECT_EQ(pass.out.Value("a"), 22);
  tree_.Remove("/drop/a.prom");
  pass.Run();
  EXPECT_EQ(pass.out.Value("a"), std::nullopt);
}

TEST_F(TextfileTest, SeriesOfTwoFilesIsTakenOnceAndCounted) {
  tree_.File("/drop/a.prom", "same 1\n");
  tree_.File("/drop/b.prom", "same 2\n");
  CollectorPass pass("textfile", tree_.root(), config_);
  pass.Run();
  EXPECT_EQ(pass.out.Value("same"), 1);
  EXPECT_EQ(pass.out.dropped["series_twice"], 1u);
}

TEST_F(TextfileTest, WhatChangedLeavesWithoutWaitingForThePass) {
  tree_.File("/drop/a.prom", "a 1\nsame 1\n");
  CollectorPass pass("textfile", tree_.root(), config_);
  pass.Run();
  tree_.File("/drop/b.prom", "b 2\nsame 2\n");
  ASSERT_TRUE(pass.Wake());
  EXPECT_EQ(pass.out.Value("b"), 2);
  EXPECT_EQ(pass.out.Value("a"), std::nullopt) << "an unchanged file waits for the pass";
  EXPECT_EQ(pass.out.Value("same"), std::nullopt) << "it is the first file's";
  EXPECT_EQ(pass.out.Value("node_textfile_scrape_error"), std::nullopt);
  tree_.File("/drop/c.prom", "c{ 3\n");
  ASSERT_TRUE(pass.Wake());
  EXPECT_TRUE(pass.out.samples.empty());
  pass.Run();
  EXPECT_EQ(pass.out.Value("node_textfile_scrape_error"), 1);
}

TEST_F(TextfileTest, MissingFolderIsAnErrorOfTheScrapeOnly) {
  CollectorPass pass("textfile", tree_.root(), config_);
  pass.Run();
  EXPECT_TRUE(pass.result());
  EXPECT_EQ(pass.out.Value("node_textfile_scrape_error"), 1);
}

TEST(RunningKernel, ClockAndName) {
  CollectorPass time("time", "/");
  time.Run();
  EXPECT_EQ(time.out.Value("node_time_seconds"), 1795176000);
  CollectorPass timex("timex", "/");
  timex.Run();
  EXPECT_EQ(timex.out.samples.size(), 17u);
  CollectorPass uname("uname", "/");
  EXPECT_NE(uname.Run().find("sysname=\"Linux\""), std::string::npos);
}

}  // namespace
}  // namespace faultline
