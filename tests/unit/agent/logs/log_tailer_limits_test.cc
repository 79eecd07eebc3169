// The tailer when the pipeline is full, files are hostile, or budgets forbid to keep everything.
#include "agent/logs/log_tailer.h"

#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include <filesystem>
#include <fstream>

#include "tests/support/log_tailer_fixture.h"

namespace faultline {
namespace {

namespace fs = std::filesystem;

TEST_F(LogTailerTest, TheFileIsTheQueueWhenThePipelineIsFull) {
  Append(kPod, Cri("1") + Cri("2", "stderr"));
  Start();
  store_.refuse = 3;
  for (int i = 0; i < 3; ++i) Pass();
  EXPECT_TRUE(store_.Bodies().empty());
  Append(kPod, Cri("3"));
  Drain();
  EXPECT_EQ(store_.Bodies(), (Bodies{"2", "1", "3"}));
  EXPECT_EQ(store_.duplicates, 0u);
}

TEST_F(LogTailerTest, CutsLongLinesAndCountsTheRest) {
  config_.add_files("/srv/*.log");
  config_.set_max_line_bytes(1000);
  Append("/srv/a.log", "before\n" + std::string(100'000, 'x'));
  Start();
  Drain();
  Start();  // within the long line
  Drain();
  Append("/srv/a.log", std::string(50'000, 'x') + "\nafter\r\n");
  Drain();
  EXPECT_EQ(store_.Bodies(), (Bodies{"before", std::string(1000, 'x'), "after"}));
  EXPECT_EQ(store_.samples["faultline_log_lost_bytes_total,reason=too_long"], 149'000 - 99'000);
}

TEST_F(LogTailerTest, RefusesWhatIsNotALogFile) {
  config_.add_files("/srv/*.log");
  Append("/etc/shadow", "secret\n");
  Append("/srv/good.log", "good\n");
  fs::create_symlink("/etc/shadow", Path("/srv/shadow.log"));
  fs::create_symlink("../etc/shadow", Path("/srv/relative.log"));
  fs::create_symlink("/proc/self/environ", Path("/srv/environ.log"));
  fs::create_symlink("loop.log", Path("/srv/loop.log"));
  fs::create_directories(Path("/srv/folder.log"));
  ASSERT_EQ(mkfifo(Path("/srv/fifo.log").c_str(), 0600), 0);
  const bool has_device =
      mknod(Path("/srv/device.log").c_str(), S_IFCHR | 0600, makedev(1, 5)) == 0;
  Start();
  Drain();
  EXPECT_EQ(store_.Bodies(), Bodies{"good"});
  EXPECT_GE(store_.dropped["refused_file"], has_device ? 5u : 4u);
  // A log that turns into a link to something else.
  fs::remove(Path("/srv/good.log"));
  fs::create_symlink("/etc/shadow", Path("/srv/good.log"));
  Drain();
  EXPECT_EQ(store_.Bodies(), Bodies{"good"});
}

TEST_F(LogTailerTest, SurvivesHostileContents) {
  config_.add_files("/srv/*.log");
  Append("/srv/holes.log", "x\n");
  fs::resize_file(Path("/srv/holes.log"), uint64_t{1} << 40);  // sparse
  Append("/srv/holes.log", "\nbehind\n");
  Append("/srv/binary.log", std::string("\0\0\0\n\xff\xfe\n", 7));
  Append("/srv/quiet.log", "quiet\n");
  Append("/srv/endless.log", std::string(10 << 20, 'x'));
  Start();
  Drain();
  const Bodies bodies = store_.Bodies();
  EXPECT_EQ(std::ranges::count(bodies, "quiet"), 1);
  EXPECT_EQ(std::ranges::count(bodies, "behind"), 1);
  EXPECT_EQ(std::ranges::count(bodies, std::string(4096, 'x')), 1);
}

TEST_F(LogTailerTest, ANoisyFileDoesNotDelayAQuietOne) {
  config_.add_files("/srv/*.log");
  limits_.pass_bytes = 256 << 10;
  Append("/srv/a-noisy.log", std::string(500, 'n') + "\n");
  Append("/srv/quiet.log", "start\n");
  Start();
  Pass();
  std::string noise;
  for (int i = 0; i < 20'000; ++i) noise += std::string(500, 'n') + "\n";
  Append("/srv/a-noisy.log", noise);
  Append("/srv/quiet.log", "quiet\n");
  Pass();
  EXPECT_EQ(store_.streams["filename=/srv/quiet.log,job=files,"].size(), 2u);
  EXPECT_LT(store_.streams["filename=/srv/a-noisy.log,job=files,"].size(), 2000u);
  Drain();
  EXPECT_EQ(store_.streams["filename=/srv/a-noisy.log,job=files,"].size(), 20'001u);
}

TEST_F(LogTailerTest, GivesUpTheOldestOfWhatIsHeldAndCountsItToTheByte) {
  config_.set_held_max_bytes(10'000);
  Append(kPod, Cri("first"));
  Start();
  Pass();
  store_.refuse = 1'000'000;
  for (int i = 0; i < 4; ++i) {
    // Rotated and deleted before it could be read, four times.
    Append(kPod, Cri(std::string(4000, 'x')));
    Pass();
    fs::remove(Path(kPod));
    clock_.Advance(kNsPerSecond);
    Pass();
  }
  const size_t line_bytes = Cri(std::string(4000, 'x')).size();
  const std::string lost =
      "faultline_log_lost_bytes_total,namespace=default,pod=web-1,container=nginx,reason=held_max_"
      "bytes";
  store_.refuse = 0;
  Drain();
  // One slice had been read when the pipeline closed: it is not lost; of the others two fit.
  EXPECT_EQ(store_.Bodies().size() + static_cast<size_t>(store_.samples[lost]) / line_bytes, 5u);
  EXPECT_GT(store_.samples[lost], 0);
  EXPECT_EQ(static_cast<size_t>(store_.samples[lost]) % line_bytes, 0u);
}

TEST_F(LogTailerTest, GivesUpWhatIsHeldTooLong) {
  config_.mutable_held_max_age()->set_seconds(60);
  Append(kPod, Cri("first"));
  Start();
  Pass();
  store_.refuse = 1'000'000;
  Append(kPod, Cri("queued"));
  Pass();
  Append(kPod, Cri("held"));
  fs::remove(Path(kPod));
  Drain();
  Drain();
  store_.refuse = 0;
  Drain();
  EXPECT_EQ(store_.Bodies(), (Bodies{"first", "queued"}));
  EXPECT_GT(store_.samples["faultline_log_lost_bytes_total,namespace=default,pod=web-1,container="
                           "nginx,reason=held_max_age"],
            30);
}

TEST_F(LogTailerTest, FilesThatAreGoingAreReadOnWhileOthersWait) {
  const std::string other = "/var/log/pods/default_web-1_0a1b/other/0.log";
  Append(kPod, Cri("1"));
  Append(other, Cri("a"));
  Start();
  Pass();
  store_.only_at_risk = true;
  Append(other, Cri("b"));
  Pass();
  Append(kPod, Cri("2") + Cri("3"));
  Pass();
  EXPECT_EQ(store_.Bodies(), (Bodies{"1", "a"}));
  fs::remove(Path(kPod));
  Drain();
  EXPECT_EQ(store_.Bodies(), (Bodies{"1", "2", "3", "a"}));
  store_.only_at_risk = false;
  Drain();
  EXPECT_EQ(store_.Bodies(), (Bodies{"1", "2", "3", "a", "b"}));
}

TEST_F(LogTailerTest, WhatFollowsSavedLinesGoesTheirWay) {
  const std::string other = "/var/log/pods/default_web-1_0a1b/other/0.log";
  Append(kPod, Cri("1"));
  Append(other, Cri("a"));
  Start();
  Pass();
  EXPECT_EQ(store_.saved, 0u);
  // It loses its name, and gets one again: what it had said goes before what it says now.
  fs::create_directories(Path("/srv"));
  Append(kPod, Cri("2"));
  Rename(kPod, "/srv/kept");
  Pass();
  EXPECT_EQ(store_.saved, 1u);
  Rename("/srv/kept", kPod);
  Append(kPod, Cri("3"));
  Drain();
  EXPECT_EQ(store_.saved, 2u);
  // As after a restart, with the line still on its way.
  for (const auto& [id, end] : store_.positions) in_backlog_.insert(id);
  Append(kPod, Cri("4"));
  Append(other, Cri("b"));
  Start();
  Drain();
  EXPECT_EQ(store_.saved, 4u);
  EXPECT_EQ(store_.Bodies(), (Bodies{"1", "2", "3", "4", "a", "b"}));
}

constexpr const char* kLostAway =
    "faultline_log_lost_bytes_total,namespace=default,pod=web-1,container=nginx,reason=agent_away";

TEST_F(LogTailerTest, WhatADeadAgentHeldByDescriptorIsCountedToTheByte) {
  Append(kPod, Cri("first"));
  Start();
  Pass();
  store_.refuse = 1'000'000;
  const std::string queued = Cri("queued"), held = Cri("held");
  Append(kPod, queued);
  Pass();
  Append(kPod, held);
  fs::remove(Path(kPod));
  Pass();
  store_.refuse = 0;
  Start();  // as after kill -9: what was read and not taken is as lost as the rest
  Drain();
  EXPECT_EQ(store_.Bodies(), Bodies{"first"});
  EXPECT_EQ(static_cast<size_t>(store_.samples[kLostAway]), queued.size() + held.size());
  EXPECT_TRUE(unread_.empty());
  store_.samples.clear();
  Start();
  Drain();
  EXPECT_EQ(store_.samples.count(kLostAway), 0u) << "once";
}

TEST_F(LogTailerTest, WhatWasHeldAndIsInACompressedCopyIsReadAndNotCounted) {
  Append(kPod, Cri("first"));
  Start();
  Pass();
  store_.refuse = 1'000'000;
  Append(kPod, Cri("held"));
  const std::string rotated = std::string(kPod) + ".20261120-100000";
  Rename(kPod, rotated);
  Append(kPod, Cri("new"));
  Pass();
  Zip(Path(rotated));
  Pass();
  store_.refuse = 0;
  Start();
  Drain();
  EXPECT_EQ(store_.Bodies(), (Bodies{"first", "held", "new"}));
  EXPECT_EQ(store_.samples.count(kLostAway), 0u);
  EXPECT_EQ(store_.duplicates, 0u);
}

TEST_F(LogTailerTest, WhatRotationTookWhileNoAgentWasThereIsCountedAsFarAsItWasSeen) {
  Append(kPod, Cri("first"));
  Start();
  Pass();
  store_.refuse = 1'000'000;
  const std::string waits = Cri("waits");
  Append(kPod, waits);
  Pass();
  Pass();
  tailer_.reset();
  Append(kPod, Cri("never seen"));
  fs::remove(Path(kPod));
  Append(kPod, Cri("new"));
  store_.refuse = 0;
  Start();
  Drain();
  EXPECT_EQ(store_.Bodies(), (Bodies{"first", "new"}));
  EXPECT_EQ(static_cast<size_t>(store_.samples[kLostAway]), waits.size());
}

TEST_F(LogTailerTest, QuietFilesAreReadOnWhileBulkWaits) {
  const std::string other = "/var/log/pods/default_web-1_0a1b/other/0.log";
  Append(kPod, Cri("1"));
  Append(other, Cri("a"));
  Start();
  Pass();
  store_.only_short = true;
  for (int i = 0; i < 40; ++i)
    Append(kPod, Cri(fmt::format("bulk {}{}", i, std::string(3000, '.'))));
  for (const char* text : {"b", "c", "d"}) {
    Pass();
    Append(other, Cri(text));
  }
  Pass();
  EXPECT_EQ(store_.Bodies(), (Bodies{"1", "a", "b", "c", "d"}));
  store_.only_short = false;
  Drain();
  EXPECT_EQ(store_.Bodies().size(), 45u);
  EXPECT_EQ(store_.duplicates, 0u);
}

TEST_F(LogTailerTest, ARestartDoesNotUndoWhatWasGivenUp) {
  config_.mutable_held_max_age()->set_seconds(60);
  Append(kPod, Cri("first"));
  Start();
  Pass();
  store_.refuse = 1'000'000;
  Append(kPod, Cri("queued"));
  Pass();
  Append(kPod, Cri("held"));
  fs::copy_file(Path(kPod), Path("/var/log/aside"));
  Zip(Path("/var/log/aside"));
  fs::remove(Path(kPod));
  Drain();
  Drain();
  EXPECT_GT(store_.samples["faultline_log_lost_bytes_total,namespace=default,pod=web-1,container="
                           "nginx,reason=held_max_age"],
            30);
  store_.refuse = 0;
  Rename("/var/log/aside.gz", std::string(kPod) + ".20261120-120000.gz");
  Start();
  Drain();
  EXPECT_EQ(std::ranges::count(store_.Bodies(), "held"), 0) << "it was counted as lost";
}

TEST_F(LogTailerTest, PositionsOfFilesThatAreGoneGo) {
  limits_.gone_files = 6;
  Start();
  for (int i = 0; i < 20; ++i) {
    Append(kPod, Cri(fmt::format("{}", i)));
    Drain();
    fs::remove(Path(kPod));
  }
  Drain();
  EXPECT_EQ(store_.Bodies().size(), 20u);
  EXPECT_LE(store_.positions.size(), 9u);
}

}  // namespace
}  // namespace faultline
