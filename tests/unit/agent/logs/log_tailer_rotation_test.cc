// The tailer through every kind of rotation. A generator numbers every line, so that lost and
// duplicated ones are counted exactly.
#include "agent/logs/log_tailer.h"

#include <unistd.h>
#include <filesystem>
#include <fstream>
#include <map>
#include <random>

#include "tests/support/log_tailer_fixture.h"

namespace faultline {
namespace {

namespace fs = std::filesystem;

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
  EXPECT_EQ(store_.Bodies(),
            (Bodies{"banner", "1", "2", "banner", "3", "banner",
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

TEST_F(LogTailerTest, ReadsCompressedGenerationsWhereTheFileWasLeft) {
  const auto rotated = [](int n) {
    return std::string(kPod) + fmt::format(".20261120-12000{}", n);
  };
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
  EXPECT_EQ(store_.Bodies(), (Bodies{"err", "1", "2", "3", "4", "5", "6"}))
      << "what was there before the first start is history";
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
  std::ofstream(Path(rotated + ".gz"), std::ios::binary)
      << zipped.substr(0, zipped.size() / 2) + zipped.substr(zipped.size() - 8);
  Append(kPod, Cri("live"));
  Start();
  Drain();
  const double lost = store_.samples
                          ["faultline_log_lost_bytes_total,namespace=default,pod=web-1,container="
                           "nginx,reason=damaged"];
  EXPECT_GT(lost, static_cast<double>(size) / 4);
  EXPECT_LT(lost, static_cast<double>(size));
  EXPECT_EQ(std::ranges::count(store_.Bodies(), "live"), 1);
}

// Lines of several containers with numbers, rotated as kubelet does and as logrotate does, with
// restarts and a full pipeline in between; everything in an order that the seed decides.
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
    const std::string path =
        plain ? "/srv/app.log" : fmt::format("/var/log/pods/ns_pod_uid/{}/0.log", name);
    std::string text;
    for (uint32_t lines = random() % 8; lines > 0; --lines) {
      const std::string body = fmt::format("{} {}", name, written[name]++);
      const std::string padding(random() % 200, '.');
      if (plain) {
        text += body + padding + "\n";
      } else if (chance(10)) {
        text += Cri(body, "stdout", "P") +
                Cri(fmt::format("noise {}", written["noise"]++), "stderr") + Cri(padding);
      } else {
        text += Cri(body + padding);
      }
    }
    Append(path, text);
    if (chance(20) && fs::exists(Path(path))) {
      const std::string to =
          plain ? path + ".1" : fmt::format("{}.20261120-{:06}", path, ++rotations);
      if (plain) ++rotations;
      Rename(path, to);
      auto& old = rotated[path];
      if (!plain) old.push_back(to);
      if (chance(30))
        Append(to, plain ? fmt::format("app {}\n", written["app"]++)
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
  for (const auto& [series, value] : store_.samples) {
    EXPECT_FALSE(series.starts_with("faultline_log_missed_files_total")) << series << ' ' << value;
  }
  EXPECT_GT(rotations, 500);
  EXPECT_GT(total, 10'000);
  std::printf("%d lines, %d rotations, %llu recognised as re-read\n", total, rotations,
              static_cast<unsigned long long>(store_.duplicates));
}

// Lines of one length that end alike: the bytes before the position are the same in the new text.
TEST_F(LogTailerTest, SeesATruncationByTheFirstLineToo) {
  const auto line = [](int n) { return Cri(fmt::format("{:03}{}", n, std::string(100, '.'))); };
  Start();
  int written = 0;
  for (int lines = 1; lines < 6; ++lines) {
    std::string text;
    for (int i = 0; i < lines; ++i) text += line(written++);
    if (lines > 1) {
      // Not read to the end, copied, truncated, and longer again than what was read.
      Append(kPod, line(written++));
      fs::copy_file(Path(kPod), Path(kPod) + ".1", fs::copy_options::overwrite_existing);
      fs::resize_file(Path(kPod), 0);
    }
    Append(kPod, text);
    Drain();
  }
  std::map<std::string, int> counts;
  for (const std::string& body : store_.Bodies()) ++counts[body.substr(0, 3)];
  for (int i = 0; i < written; ++i) EXPECT_EQ(counts[fmt::format("{:03}", i)], 1) << i;
}

TEST_F(LogTailerTest, CountsFilesThatCameAndWentUnseen) {
  const std::string missed =
      "faultline_log_missed_files_total,namespace=default,pod=web-1,container=nginx";
  const std::string copy = std::string(kPod) + ".1";
  Append(kPod, Cri("1"));
  Start();
  Drain();
  for (int i = 0; i < 5; ++i) {
    fs::remove(Path(copy));
    Append(copy, Cri(fmt::format("copy {}", i)));
  }
  Drain();
  EXPECT_EQ(store_.samples[missed], 4) << "the last one was seen";
  // Seen, whatever became of their names: as kubelet rotates, and as logrotate shifts.
  for (int i = 0; i < 6; ++i) {
    const std::string rotated = fmt::format("{}.20261120-12000{}", kPod, i);
    Rename(kPod, rotated);
    Append(kPod, Cri(fmt::format("live {}", i)));
    if (i % 2 == 0) Pass();
    Zip(Path(rotated));
    fs::remove(Path(fmt::format("{}.{}", kPod, 3)));
    for (int n = 2; n > 0; --n) {
      if (fs::exists(Path(fmt::format("{}.{}", kPod, n))))
        Rename(fmt::format("{}.{}", kPod, n), fmt::format("{}.{}", kPod, n + 1));
    }
    Append(copy, Cri(fmt::format("shifted {}", i)));
    if (i % 2 == 1) Drain();
  }
  Drain();
  EXPECT_EQ(store_.samples[missed], 4);
}

}  // namespace
}  // namespace faultline
