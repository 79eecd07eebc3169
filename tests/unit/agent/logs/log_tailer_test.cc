// The tailer on real files in a folder of its own. Time is manual: a pass happens when the test says so, and lingering and
// rescans when it moves the clock. A generator numbers every line, so that lost and duplicated ones are counted exactly.
#include "agent/logs/log_tailer.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include <zlib.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <random>

#include "faultline/v1/config.pb.h"
#include "tests/support/recording_emitter.h"
#include "tests/support/temp_tree.h"

namespace faultline {
namespace {

namespace fs = std::filesystem;

// What the agent's spool keeps: how far each file was taken. Chunks are checked as the aggregator would store them.
class Store final : public Emitter {
 public:
  using Emitter::Sample;
  void Sample(const MetricFamily& family, LabelViews labels, double value) override {
    std::string key(family.name);
    for (const LabelView& label : labels) key += fmt::format(",{}={}", label.name, label.value);
    samples[key] = value;
  }
  void SampleOf(const Origin&, const MetricFamily&, LabelViews, double) override {}
  bool Logs(LogChunk&& chunk) override {
    if (only_at_risk && !chunk.at_risk) return false;
    if (refuse > 0) {
      --refuse;
      return false;
    }
    uint64_t& end = positions[chunk.file_id];
    for (LogChunk::Record& record : chunk.records) {
      EXPECT_LT(record.offset, chunk.end_offset);
      if (record.offset < end) {
        ++duplicates;
        continue;
      }
      std::string labels;
      for (const auto& [name, value] : chunk.stream_labels) labels += fmt::format("{}={},", name, value);
      streams[labels].push_back(std::move(record));
    }
    EXPECT_GE(chunk.end_offset, chunk.begin_offset);
    end = std::max(end, chunk.end_offset);
    return true;
  }
  void Event(v1::Event&&, const Origin&) override {}
  void Span(v1::Span&&, const Origin&) override {}
  void Fault(v1::FaultTransition&&) override {}
  void Inventory(v1::Inventory&&) override {}
  void Dropped(std::string_view reason, uint64_t count) override { dropped[std::string(reason)] += count; }

  std::vector<std::string> Bodies() const {
    std::vector<std::string> bodies;
    for (const auto& [labels, records] : streams) {
      for (const auto& record : records) bodies.push_back(record.body);
    }
    return bodies;
  }

  std::map<uint64_t, uint64_t> positions;
  std::map<std::string, std::vector<LogChunk::Record>> streams;
  std::map<std::string, double> samples;
  std::map<std::string, uint64_t> dropped;
  uint64_t duplicates = 0;  // what came again and was recognised
  int refuse = 0;
  bool only_at_risk = false;
};

class LogTailerTest : public testing::Test {
 protected:
  LogTailerTest() {
    host_.fs = FsRoot(tree_.root());
    host_.clock = &clock_;
    config_.set_pods_root("/var/log/pods");
    config_.set_containers_root("/var/log/containers");
    config_.add_docker_roots("/var/lib/docker/containers");
    config_.set_max_line_bytes(4096);
    config_.set_held_max_bytes(1 << 30);
    config_.mutable_held_max_age()->set_seconds(3600);
  }

  void Start() {
    tailer_.reset();
    tailer_ = std::make_unique<LogTailer>(host_, config_, Treatments(), [this](uint64_t id) -> std::optional<uint64_t> {
      const auto found = store_.positions.find(id);
      return found == store_.positions.end() ? std::nullopt : std::optional(found->second);
    }, std::span<LogObserver* const>(), limits_);
  }
  std::shared_ptr<const LogTreatments> Treatments() {
    auto made = LogTreatments::Make(config_);
    EXPECT_TRUE(made) << (made ? "" : made.error().message);
    return *std::move(made);
  }
  void Pass() { ASSERT_TRUE(tailer_->Collect(store_)); }
  // Until nothing new comes, with time moving.
  void Drain() {
    for (int i = 0; i < 40; ++i) {
      clock_.Advance(kNsPerSecond);
      Pass();
    }
  }
  std::string Path(std::string_view path) const { return tree_.root() + std::string(path); }
  void Append(std::string_view path, std::string_view text) {
    fs::create_directories(fs::path(Path(path)).parent_path());
    std::ofstream(Path(path), std::ios::app | std::ios::binary) << text;
  }
  void Rename(std::string_view from, std::string_view to) { fs::rename(Path(from), Path(to)); }

  static std::string Cri(std::string_view text, std::string_view stream = "stdout", std::string_view tag = "F") {
    static int64_t now = 1'795'176'000 * kNsPerSecond;
    return fmt::format("{} {} {} {}\n", FormatTime(now += 1000), stream, tag, text);
  }

  static constexpr std::string_view kPod = "/var/log/pods/default_web-1_0a1b/nginx/0.log";

  TempTree tree_;
  ManualClock clock_{1'795'176'000 * kNsPerSecond};
  HostView host_;
  v1::LogsConfig config_;
  LogTailerLimits limits_;
  Store store_;
  std::unique_ptr<LogTailer> tailer_;
};

using Bodies = std::vector<std::string>;

TEST_F(LogTailerTest, ReadsPodLogsWithTheirLabels) {
  Append(kPod, Cri("one") + Cri("two", "stderr") + Cri("thr", "stdout", "P") + Cri("ee"));
  Start();
  Pass();
  const std::string labels = "container=nginx,filename=/var/log/pods/default_web-1_0a1b/nginx/0.log,"
                             "job=default/nginx,namespace=default,pod=web-1,stream=";
  ASSERT_EQ(store_.streams.size(), 2u);
  ASSERT_TRUE(store_.streams.contains(labels + "stdout,"));
  EXPECT_EQ(store_.streams[labels + "stdout,"].size(), 2u);
  EXPECT_EQ(store_.streams[labels + "stdout,"][1].body, "three");
  EXPECT_EQ(store_.streams[labels + "stderr,"][0].body, "two");
  EXPECT_EQ(store_.samples["faultline_log_lines_total,namespace=default,pod=web-1,container=nginx"], 3);
}

TEST_F(LogTailerTest, IsWokenByGrowthAndNewFiles) {
  fs::create_directories(Path("/var/log/pods"));
  Start();
  Pass();
  Append(kPod, Cri("one"));
  pollfd fd{.fd = *tailer_->wake_fd(), .events = POLLIN, .revents = 0};
  for (int i = 0; i < 20 && store_.Bodies().empty(); ++i) {
    ASSERT_EQ(poll(&fd, 1, 5000), 1);
    Pass();
  }
  EXPECT_EQ(store_.Bodies(), Bodies{"one"});
  Append(kPod, Cri("two"));
  ASSERT_EQ(poll(&fd, 1, 5000), 1);
  Pass();
  EXPECT_EQ(store_.Bodies(), (Bodies{"one", "two"}));
  // Idle again: nobody wakes us.
  for (int i = 0; i < 5 && poll(&fd, 1, 150) == 1; ++i) Pass();
  EXPECT_EQ(poll(&fd, 1, 150), 0);
}

TEST_F(LogTailerTest, WaitsForTheEndOfALine) {
  const std::string line = Cri("hello");
  Append(kPod, line.substr(0, 20));
  Start();
  Pass();
  Append(kPod, line.substr(20, 15));
  Pass();
  EXPECT_TRUE(store_.Bodies().empty());
  Append(kPod, line.substr(35));
  Pass();
  EXPECT_EQ(store_.Bodies(), Bodies{"hello"});
}

TEST_F(LogTailerTest, FollowsRotationByRename) {
  Append(kPod, Cri("1"));
  Start();
  Pass();
  Append(kPod, Cri("2"));
  Rename(kPod, std::string(kPod) + ".20261120-120000");
  Append(std::string(kPod) + ".20261120-120000", Cri("3"));  // the runtime has not re-opened yet
  Append(kPod, Cri("4"));
  Pass();
  Append(std::string(kPod) + ".20261120-120000", Cri("5"));
  Drain();
  EXPECT_EQ(store_.streams.size(), 1u) << "rotated files keep the name of the live one";
  EXPECT_EQ(store_.Bodies(), (Bodies{"1", "2", "3", "4", "5"}));
  EXPECT_EQ(store_.duplicates, 0u);
}

TEST_F(LogTailerTest, DrainsDeletedFiles) {
  Append(kPod, Cri("1"));
  Start();
  Pass();
  std::ofstream writer(Path(kPod), std::ios::app);
  writer << Cri("2") << std::flush;
  fs::remove(Path(kPod));
  Append(kPod, Cri("4"));
  Pass();
  writer << Cri("3") << "2026-11-20T12:00:00Z stdout F unterminated" << std::flush;
  Drain();
  EXPECT_EQ(store_.Bodies(), (Bodies{"1", "2", "4", "3", "unterminated"}));
}

TEST_F(LogTailerTest, FollowsTruncation) {
  config_.add_files("/srv/*.log");
  Append("/srv/a.log", "banner\n1\n2\n");
  Start();
  Pass();
  fs::resize_file(Path("/srv/a.log"), 0);
  Append("/srv/a.log", "banner\n3\n");
  Drain();
  // Begun anew with the same first line, and longer than before.
  fs::resize_file(Path("/srv/a.log"), 0);
  Append("/srv/a.log", "banner\n4444444444444444444444444444444444444444444444444444444\n5\n");
  Drain();
  EXPECT_EQ(store_.Bodies(), (Bodies{"banner", "1", "2", "banner", "3", "banner",
                                     "4444444444444444444444444444444444444444444444444444444", "5"}));
  EXPECT_EQ(store_.duplicates, 0u);
}

TEST_F(LogTailerTest, FollowsTruncationWhileAway) {
  config_.add_files("/srv/*.log");
  Append("/srv/a.log", "banner\n1\n2\n");
  Start();
  Pass();
  tailer_.reset();
  fs::resize_file(Path("/srv/a.log"), 0);
  Append("/srv/a.log", "banner\n3\n");
  Start();
  Pass();
  Start();
  Append("/srv/a.log", "4\n");
  Pass();
  EXPECT_EQ(store_.Bodies(), (Bodies{"banner", "1", "2", "banner", "3", "4"}));
  EXPECT_EQ(store_.duplicates, 0u);
}

TEST_F(LogTailerTest, FindsTheRestInTheCopyOfCopytruncate) {
  config_.add_files("/srv/a.log*");
  Append("/srv/a.log", "first 1\n1\n");
  Start();
  Pass();
  for (int i = 2; i < 12; ++i) {
    Append("/srv/a.log", fmt::format("{}\n", i));  // not read yet when it is copied
    if (i % 2 == 0 && fs::exists(Path("/srv/a.log.1"))) fs::remove(Path("/srv/a.log.1"));
    fs::copy_file(Path("/srv/a.log"), Path("/srv/a.log.1"), fs::copy_options::overwrite_existing);
    if (i % 3 == 0) Pass();  // seen between copy and truncation, or not
    fs::resize_file(Path("/srv/a.log"), 0);
    Append("/srv/a.log", fmt::format("first {}\n", i));
    Drain();
  }
  std::map<std::string, int> counts;
  for (const std::string& body : store_.Bodies()) ++counts[body];
  for (int i = 1; i < 12; ++i) {
    EXPECT_EQ(counts[std::to_string(i)], 1) << i;
    EXPECT_EQ(counts[fmt::format("first {}", i)], 1) << i;
  }
}

TEST_F(LogTailerTest, GoesOnWhereItWas) {
  config_.add_files("/srv/*.log");
  Append(kPod, Cri("1") + Cri("2"));
  Append("/srv/a.log", "a1\n");
  Start();
  Pass();
  tailer_.reset();
  Append(kPod, Cri("3"));
  Rename(kPod, std::string(kPod) + ".20261120-120000");
  Append(kPod, Cri("4"));
  Rename(kPod, std::string(kPod) + ".20261120-130000");
  Append(kPod, Cri("5"));
  Append("/srv/a.log", "a2\n");
  Rename("/srv/a.log", "/srv/a.log.1");
  Append("/srv/a.log", "a3\n");
  Append("/srv/old.log.1", "never asked for\n");
  Start();
  Drain();
  EXPECT_EQ(store_.Bodies(), (Bodies{"1", "2", "3", "4", "5", "a1", "a2", "a3"}));
  EXPECT_EQ(store_.duplicates, 0u);
}

TEST_F(LogTailerTest, KeepsUnfinishedRecordsForTheNextStart) {
  Append(kPod, Cri("a", "stdout", "P") + Cri("err", "stderr"));
  Start();
  Pass();
  EXPECT_EQ(store_.Bodies(), Bodies{"err"});
  Append(kPod, Cri("b"));
  Start();  // killed in between: the parser's memory is gone
  Pass();
  EXPECT_EQ(store_.Bodies(), (Bodies{"err", "ab"}));
  EXPECT_EQ(store_.duplicates, 0u);
}

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

TEST_F(LogTailerTest, LinksLeadToOneFileOnce) {
  Append(kPod, Cri("1"));
  fs::create_directories(Path("/var/log/containers"));
  fs::create_symlink(kPod, Path("/var/log/containers/web-1_default_nginx-0123.log"));
  Start();
  Drain();
  EXPECT_EQ(store_.Bodies(), Bodies{"1"});
  EXPECT_EQ(store_.dropped.size(), 0u);
}

TEST_F(LogTailerTest, FollowsLinksIntoDockersFolder) {
  Append("/var/lib/docker/containers/abc/abc-json.log",
         "{\"log\":\"hi\\n\",\"stream\":\"stdout\",\"time\":\"2026-11-20T12:00:00Z\"}\n");
  fs::create_directories(fs::path(Path(kPod)).parent_path());
  fs::create_symlink("/var/lib/docker/containers/abc/abc-json.log", Path(kPod));
  Start();
  Drain();
  ASSERT_EQ(store_.Bodies(), Bodies{"hi"});
  EXPECT_NE(store_.streams.begin()->first.find("pod=web-1"), std::string::npos);
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
  const bool has_device = mknod(Path("/srv/device.log").c_str(), S_IFCHR | 0600, makedev(1, 5)) == 0;
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
  const std::string lost = "faultline_log_lost_bytes_total,namespace=default,pod=web-1,container=nginx,reason=held_max_bytes";
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
  EXPECT_GT(store_.samples["faultline_log_lost_bytes_total,namespace=default,pod=web-1,container=nginx,reason=held_max_age"], 30);
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

void Zip(const std::string& path) {
  std::ifstream from(path, std::ios::binary);
  const std::string text((std::istreambuf_iterator<char>(from)), {});
  gzFile to = gzopen((path + ".tmp").c_str(), "wb");
  gzwrite(to, text.data(), static_cast<unsigned>(text.size()));
  gzclose(to);
  fs::rename(path + ".tmp", path + ".gz");
  fs::remove(path);
}

TEST_F(LogTailerTest, ReadsCompressedGenerationsWhereTheFileWasLeft) {
  const auto rotated = [](int n) { return std::string(kPod) + fmt::format(".20261120-12000{}", n); };
  Append(kPod, Cri("history"));
  Rename(kPod, rotated(0));
  Zip(Path(rotated(0)));
  Append(kPod, Cri("1") + Cri("2"));
  Start();
  Pass();
  tailer_.reset();
  // While nobody looks: rotated three times, and all but the newest are compressed.
  Append(kPod, Cri("3") + Cri("err", "stderr"));
  Rename(kPod, rotated(1));
  Append(kPod, Cri("4"));
  Zip(Path(rotated(1)));
  Rename(kPod, rotated(2));
  Append(kPod, Cri("5"));
  Zip(Path(rotated(2)));
  Rename(kPod, rotated(3));
  Append(kPod, Cri("6"));
  Start();
  Drain();
  Start();
  Drain();
  EXPECT_EQ(store_.Bodies(), (Bodies{"err", "1", "2", "3", "4", "5", "6"})) << "what was there before the first start is history";
  EXPECT_EQ(store_.duplicates, 0u);
  // In front of our eyes: read from the file, not again from its compressed copy.
  Append(kPod, Cri("7"));
  Rename(kPod, rotated(4));
  Append(kPod, Cri("8"));
  Pass();
  Zip(Path(rotated(4)));
  Drain();
  EXPECT_EQ(store_.Bodies(), (Bodies{"err", "1", "2", "3", "4", "5", "6", "7", "8"}));
  EXPECT_EQ(store_.duplicates, 0u);
}

TEST_F(LogTailerTest, CountsWhatADamagedCompressedFileDoesNotGiveBack) {
  Append(kPod, Cri("1"));
  Start();
  Pass();
  tailer_.reset();
  std::mt19937 random(1);
  for (int i = 0; i < 2000; ++i) Append(kPod, Cri(fmt::format("{:x}{:x}", random(), random())));
  const std::string rotated = std::string(kPod) + ".20261120-120000";
  const auto size = fs::file_size(Path(kPod));
  Rename(kPod, rotated);
  Zip(Path(rotated));
  // The middle is cut out; the end, with the size, stays.
  std::ifstream from(Path(rotated + ".gz"), std::ios::binary);
  std::string zipped((std::istreambuf_iterator<char>(from)), {});
  std::ofstream(Path(rotated + ".gz"), std::ios::binary) << zipped.substr(0, zipped.size() / 2) + zipped.substr(zipped.size() - 8);
  Append(kPod, Cri("live"));
  Start();
  Drain();
  const double lost = store_.samples["faultline_log_lost_bytes_total,namespace=default,pod=web-1,container=nginx,reason=damaged"];
  EXPECT_GT(lost, static_cast<double>(size) / 4);
  EXPECT_LT(lost, static_cast<double>(size));
  EXPECT_EQ(std::ranges::count(store_.Bodies(), "live"), 1);
}

TEST_F(LogTailerTest, ReadsWhatTheConfigurationWants) {
  auto* exclude = config_.add_exclude();
  exclude->set_namespace_("kube-*");
  exclude->set_container("noisy");
  auto* format = config_.add_formats();
  format->mutable_select()->set_pod("java-*");
  format->set_parser("json");
  format->set_multiline("java");
  config_.add_redact()->set_pattern("secret-[0-9]+");
  Append("/var/log/pods/kube-system_a_1/noisy/0.log", Cri("excluded"));
  Append("/var/log/pods/kube-system_a_1/quiet/0.log", Cri("token secret-42"));
  const std::string java = "/var/log/pods/default_java-1_2/app/0.log";
  Append(java, Cri("failed") + Cri("\tat a.B") + Cri("other stream", "stderr") + Cri("\tat c.D"));
  Start();
  Drain();
  EXPECT_EQ(store_.Bodies(), (Bodies{"other stream", "failed\n\tat a.B\n\tat c.D", "token [redacted]"}));
  // The next one ends it; a start in between takes it up again.
  Append(java, Cri("{\"level\":\"error\"}") + Cri("\tat e.F"));
  Pass();
  Start();
  Drain();
  EXPECT_EQ(store_.Bodies().size(), 4u);
  EXPECT_EQ(store_.duplicates, 0u);
}

// Lines of several containers with numbers, rotated as kubelet does and as logrotate does, with restarts and a full
// pipeline in between; everything in an order that the seed decides.
TEST_F(LogTailerTest, LosesNothingAndRepeatsNothing) {
  config_.add_files("/srv/app.log");
  const uint32_t seed = 20261120;
  std::mt19937 random(seed);
  SCOPED_TRACE(fmt::format("seed {}", seed));
  const auto chance = [&](uint32_t percent) { return random() % 100 < percent; };
  limits_.slice_bytes = 512;
  limits_.pass_bytes = 8192;
  std::map<std::string, int> written;
  std::map<std::string, std::vector<std::string>> rotated;
  fs::create_directories(Path("/srv"));
  Start();
  Pass();
  int rotations = 0;
  for (int step = 0; step < 4000; ++step) {
    const int which = static_cast<int>(random() % 4);
    const bool plain = which == 3;
    const std::string name = plain ? "app" : fmt::format("c{}", which);
    const std::string path = plain ? "/srv/app.log" : fmt::format("/var/log/pods/ns_pod_uid/{}/0.log", name);
    std::string text;
    for (uint32_t lines = random() % 8; lines > 0; --lines) {
      const std::string body = fmt::format("{} {}", name, written[name]++);
      const std::string padding(random() % 200, '.');
      if (plain) {
        text += body + padding + "\n";
      } else if (chance(10)) {
        text += Cri(body, "stdout", "P") + Cri(fmt::format("noise {}", written["noise"]++), "stderr") + Cri(padding);
      } else {
        text += Cri(body + padding);
      }
    }
    Append(path, text);
    if (chance(20) && fs::exists(Path(path))) {
      const std::string to = plain ? path + ".1" : fmt::format("{}.20261120-{:06}", path, ++rotations);
      if (plain) ++rotations;
      Rename(path, to);
      auto& old = rotated[path];
      if (!plain) old.push_back(to);
      if (chance(30)) Append(to, plain ? fmt::format("app {}\n", written["app"]++)
                                       : Cri(fmt::format("{} {}", name, written[name]++)));
      // The runtime deletes (compresses) all but the newest two; an unread one was given time.
      Pass();
      if (old.size() > 2) {
        fs::remove(Path(old.front()));
        old.erase(old.begin());
      }
    }
    if (chance(10)) store_.refuse = static_cast<int>(random() % 5);
    if (chance(30)) {
      clock_.Advance(static_cast<int64_t>(random() % 3000) * kNsPerMs);
      Pass();
    }
    if (chance(2)) {
      // A start loses what is only held by descriptor: let it drain, as a planned restart would.
      store_.refuse = 0;
      Drain();
      Start();
      Pass();
    }
  }
  store_.refuse = 0;
  Drain();
  std::map<std::string, int> seen;
  for (std::string body : store_.Bodies()) {
    ++seen[body.substr(0, body.find('.'))];
  }
  int lost = 0, twice = 0, total = 0;
  for (const auto& [name, count] : written) {
    for (int i = 0; i < count; ++i, ++total) {
      const int times = seen[fmt::format("{} {}", name, i)];
      lost += times == 0;
      if (times != 1) ADD_FAILURE() << name << " " << i << ": " << times << " times";
      twice += times > 1;
    }
  }
  EXPECT_EQ(lost, 0);
  EXPECT_EQ(twice, 0);
  EXPECT_GT(rotations, 500);
  EXPECT_GT(total, 10'000);
  std::printf("%d lines, %d rotations, %llu recognised as re-read\n", total, rotations,
              static_cast<unsigned long long>(store_.duplicates));
}

}  // namespace
}  // namespace faultline
