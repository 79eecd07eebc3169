// A child appends and prints what is acknowledged; it is killed with SIGKILL again and again. What
// was acknowledged must be there once, nothing twice, and nothing may be missing below the
// watermark.
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <random>
#include <set>

#include "tests/support/store_fixture.h"

namespace faultline {
namespace {

constexpr int kRounds = 20;  // FAULTLINE_CRASH_ROUNDS=100 for the whole proof
constexpr uint64_t kSession = 99;
constexpr size_t kSeries = 20;
constexpr uint64_t kLinesPerBatch = 5;

AppendBatch BatchOf(uint64_t sequence, const std::vector<SeriesId>& series, StreamId stream) {
  AppendBatch batch;
  batch.node = "n1";
  batch.session = kSession;
  batch.sequence = sequence;
  batch.previous_sequence = sequence - 1;
  const auto time_ms = static_cast<int64_t>(sequence) * 1000;
  for (const SeriesId id : series)
    batch.samples.push_back({id, time_ms, static_cast<double>(sequence)});
  if (sequence == 1) {
    for (uint32_t i = 0; i < series.size(); ++i) batch.series_refs.emplace_back(i + 1, series[i]);
  }
  // Each batch repeats the last line of the one before, as a reader does that lost its place.
  const uint64_t begin = (sequence - 1) * kLinesPerBatch;
  AppendBatch::LogRows rows{stream, 1, begin - (begin > 0 ? 1 : 0), begin + kLinesPerBatch, {}};
  for (uint64_t i = rows.begin_offset; i < rows.end_offset; ++i) {
    v1::LogRecord& record = rows.records.emplace_back();
    record.set_time_unix_ns(static_cast<int64_t>(i));
    record.set_offset(i);
    record.set_body(std::to_string(i) + std::string(200, 'x'));
  }
  batch.logs.push_back(std::move(rows));
  v1::Event& event = batch.events.emplace_back();
  event.set_time_unix_ns(static_cast<int64_t>(sequence));
  return batch;
}

std::vector<SeriesId> Intern(Store& store) {
  std::vector<SeriesId> series;
  for (size_t i = 0; i < kSeries; ++i) {
    series.push_back(store.InternSeries({{"__name__", "m"}, {"i", std::to_string(i)}}, {}).value());
  }
  return series;
}

constexpr const char* kFolderVariable = "FAULTLINE_CRASH_TEST_FOLDER";

StoreOptions SmallLog(std::string folder) {
  StoreOptions options;
  options.folder = std::move(folder);
  options.log_round_bytes = 30'000;
  options.commit_interval_ns = kNsPerMs;
  return options;
}

// Never returns; tells acknowledged sequences through `acks`.
[[noreturn]] void AppendForever(const char* folder, int acks) {
  SystemClock clock;
  auto store = OpenRocksDbStore(SmallLog(folder), &clock);
  if (!store) ::_exit(3);
  const auto series = Intern(**store);
  const StreamId stream = (*store)->InternStream({{"app", "web"}}).value();
  std::atomic<uint64_t> acknowledged = (*store)->Session("n1", kSession)->committed_sequence;
  for (uint64_t sequence = acknowledged + 1;; ++sequence) {
    while (sequence > acknowledged + 32) ::usleep(100);
    (*store)->Append(
        BatchOf(sequence, series, stream), [&acknowledged, acks, sequence](Result<void> result) {
          if (!result || ::write(acks, &sequence, sizeof(sequence)) != sizeof(sequence)) ::_exit(4);
          acknowledged = sequence;
        });
  }
}

// This program again, as the child only: a fork alone would lack RocksDB's threads.
pid_t StartChild(const std::string& folder, int acks) {
  const pid_t child = ::fork();
  if (child != 0) return child;
  ::dup2(acks, STDOUT_FILENO);
  ::setenv(kFolderVariable, folder.c_str(), 1);
  ::execl("/proc/self/exe", "crash_test_child", nullptr);
  ::_exit(5);
}

// The last acknowledged sequence that the child told before it was killed.
uint64_t RunAndKill(const std::string& folder, std::chrono::milliseconds life) {
  int acks[2];
  if (::pipe2(acks, O_CLOEXEC) != 0) return 0;
  const pid_t child = StartChild(folder, acks[1]);
  ::close(acks[1]);
  uint64_t last = 0;
  std::optional<std::chrono::steady_clock::time_point> deadline;
  struct pollfd wait = {acks[0], POLLIN, 0};
  while (!deadline || std::chrono::steady_clock::now() < *deadline) {
    if (::poll(&wait, 1, deadline ? 1 : 20'000) < 0) break;
    if ((wait.revents & POLLIN) == 0) {
      if (!deadline || (wait.revents & POLLHUP) != 0) break;
      continue;
    }
    if (::read(acks[0], &last, sizeof(last)) != sizeof(last)) break;
    if (!deadline) deadline = std::chrono::steady_clock::now() + life;
  }
  ::kill(child, SIGKILL);
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_TRUE(WIFSIGNALED(status)) << "the child ended by itself with " << WEXITSTATUS(status);
  while (::read(acks[0], &last, sizeof(last)) == sizeof(last)) {
  }
  ::close(acks[0]);
  return last;
}

// Before gtest's own words reach standard output, the child moves it away.
class CrashChildEnvironment : public ::testing::Environment {
 public:
  void SetUp() override {
    const char* folder = std::getenv(kFolderVariable);
    if (folder != nullptr) AppendForever(folder, acks_);
  }

 private:
  const int acks_ = [] {
    if (std::getenv(kFolderVariable) == nullptr) return -1;
    const int acks = ::dup(STDOUT_FILENO);
    ::dup2(STDERR_FILENO, STDOUT_FILENO);
    return acks;
  }();
};
const auto* const environment = ::testing::AddGlobalTestEnvironment(new CrashChildEnvironment);

class CrashTest : public StoreFixture {
 protected:
  void CheckEverything(uint64_t acknowledged) {
    const uint64_t watermark = store_->Session("n1", kSession)->committed_sequence;
    ASSERT_GE(watermark, acknowledged);
    for (const SeriesId id : Intern(*store_)) {
      const auto samples = All(id);
      ASSERT_EQ(samples.size(), watermark);
      for (uint64_t i = 0; i < watermark; ++i) {
        ASSERT_EQ(samples[i].time_ms, static_cast<int64_t>(i + 1) * 1000);
        ASSERT_EQ(samples[i].value, static_cast<double>(i + 1));
      }
    }
    uint64_t next = 0;
    LogQuery query;
    query.end_unix_ns = INT64_MAX;
    query.newest_first = false;
    ASSERT_TRUE(store_->ScanLogs(query, [&](const Labels&, const LogEntry& entry) {
      EXPECT_EQ(entry.time_unix_ns, static_cast<int64_t>(next));
      ++next;
      return true;
    }));
    ASSERT_EQ(next, watermark * kLinesPerBatch);
    ASSERT_EQ(store_->Events(0, INT64_MAX, SIZE_MAX)->size(), watermark);
    ASSERT_EQ(store_->Session("n1", kSession)->series.size(), watermark == 0 ? 0 : kSeries);
  }
};

TEST_F(CrashTest, AcknowledgedIsStoredOnce) {
  options_ = SmallLog(options_.folder);
  const auto seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  store_.reset();
  const char* wanted = std::getenv("FAULTLINE_CRASH_ROUNDS");
  const int rounds = wanted == nullptr ? kRounds : std::atoi(wanted);
  for (int round = 0; round < rounds; ++round) {
    const uint64_t acknowledged =
        RunAndKill(options_.folder, std::chrono::milliseconds(random() % 150));
    ASSERT_GT(acknowledged, 0u);
    Open();
    CheckEverything(acknowledged);
    if (HasFatalFailure()) return;
    store_.reset();
  }
  Open();
}

}  // namespace
}  // namespace faultline
