#include "agent/spool.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>

#include "agent/log_window.h"
#include "common/clock.h"
#include "common/transport.h"

namespace faultline {
namespace {

class SpoolTest : public ::testing::Test {
 protected:
  SpoolTest() {
    char folder[] = "/tmp/faultline_spool_XXXXXX";
    folder_ = mkdtemp(folder);
  }
  ~SpoolTest() override { std::filesystem::remove_all(folder_); }

  std::unique_ptr<Spool> Open(uint64_t max_bytes = 1 << 20) {
    auto spool = Spool::Open({.folder = folder_ + "/spool", .max_bytes = max_bytes});
    EXPECT_TRUE(spool.has_value()) << (spool ? "" : spool.error().message);
    return spool ? *std::move(spool) : nullptr;
  }
  // A batch that compression cannot shrink.
  static v1::Batch Batch(size_t bytes = 100, uint64_t seed = 1) {
    v1::Batch batch;
    std::string body;
    for (uint64_t x = seed * 0x9E3779B97F4A7C15u; body.size() < bytes; x = x * 6364136223846793005u + 1) {
      body.push_back(static_cast<char>(' ' + (x >> 33) % 90));
    }
    batch.add_events()->set_message(body);
    return batch;
  }
  static v1::Batch Read(const Spool& spool, uint64_t session, uint64_t sequence) {
    const auto read = spool.Read(session, sequence);
    v1::Batch batch;
    if (!read || !*read) {
      ADD_FAILURE() << "no batch " << sequence;
      return batch;
    }
    EXPECT_TRUE(batch.ParseFromString(*Decompress((*read)->payload, 1 << 20)));
    return batch;
  }

  std::string folder_;
};

TEST_F(SpoolTest, KeepsBatchesInOrderUntilAcknowledged) {
  const auto spool = Open();
  for (int i = 0; i < 3; ++i) {
    auto batch = Batch();
    ASSERT_TRUE(spool->Put(batch, 5));
  }
  const uint64_t session = spool->session();
  EXPECT_EQ(Read(*spool, session, 1).previous_sequence(), 0u);
  EXPECT_EQ(Read(*spool, session, 2).previous_sequence(), 1u);
  EXPECT_EQ(Read(*spool, session, 2).session(), session);
  EXPECT_EQ(spool->records(), 15u);
  ASSERT_TRUE(spool->Acknowledge(session, 2));
  EXPECT_EQ(spool->batches(), 1u);
  EXPECT_EQ((*spool->Read(session, 1))->sequence, 3u);
  EXPECT_EQ(spool->counters().delivered_records, 10u);
  ASSERT_TRUE(spool->Acknowledge(session, 99));
  EXPECT_EQ(spool->batches(), 0u);
  EXPECT_EQ(spool->bytes(), 0u);
  EXPECT_FALSE(spool->Read(session, 1)->has_value());
  auto batch = Batch();
  ASSERT_TRUE(spool->Put(batch, 1));
  EXPECT_EQ(batch.sequence(), 4u);
}

TEST_F(SpoolTest, DropsTheOldestBeyondItsBoundAndCounts) {
  const auto spool = Open(10'000);
  for (uint64_t i = 0; i < 40; ++i) {
    auto batch = Batch(1000, i + 1);
    ASSERT_TRUE(spool->Put(batch, 2));
    EXPECT_LE(spool->bytes(), 10'000u);
  }
  const auto& counters = spool->counters();
  EXPECT_GT(counters.dropped_batches, 20u);
  EXPECT_EQ(counters.dropped_records, 2 * counters.dropped_batches);
  EXPECT_EQ(counters.appended_records, counters.dropped_records + spool->records());
  EXPECT_EQ((*spool->Read(spool->session(), 1))->sequence, counters.dropped_batches + 1);
}

TEST_F(SpoolTest, DropsWhatCanBeHadAgainBeforeLogLines) {
  auto opened = Spool::Open({.folder = folder_ + "/spool", .max_bytes = 20'000, .log_window_bytes = 2'000});
  ASSERT_TRUE(opened);
  const auto spool = *std::move(opened);
  for (uint64_t i = 0; i < 60; ++i) {
    auto batch = Batch(1000, i + 1);
    if (i % 3 == 0 && !spool->Congested(LogRoom::kAtRisk)) {
      auto* frame = batch.add_logs();
      frame->set_file_id(7);
      frame->set_begin_offset(i);
      frame->set_end_offset(i + 1);
    }
    ASSERT_TRUE(spool->Put(batch, 1));
    EXPECT_LE(spool->bytes(), 20'000u);
  }
  EXPECT_TRUE(spool->Congested(LogRoom::kBulk)) << "lines wait in their files";
  EXPECT_TRUE(spool->Congested(LogRoom::kAtRisk)) << "half of the spool, also for files that are going";
  uint64_t next = 1;
  size_t with_logs = 0;
  uint64_t end = 0;
  while (const auto batch = *spool->Read(spool->session(), next)) {
    v1::Batch parsed = Read(*spool, spool->session(), batch->sequence);
    with_logs += parsed.logs_size() > 0;
    if (parsed.logs_size() > 0) end = parsed.logs(0).end_offset();
    next = batch->sequence + 1;
  }
  EXPECT_GE(with_logs, 9u) << "none of them was dropped";
  EXPECT_EQ(spool->LogPosition(7), end);
  ASSERT_TRUE(spool->Acknowledge(spool->session(), 60));
  EXPECT_FALSE(spool->Congested(LogRoom::kBulk));
  EXPECT_EQ(spool->log_bytes(), 0u);
  EXPECT_EQ(spool->bytes(), 0u);
}

class SpoolLogsTest : public SpoolTest {
 protected:
  std::unique_ptr<Spool> OpenWithClock() {
    return *Spool::Open({.folder = folder_ + "/spool", .max_bytes = 8 << 20, .log_window_bytes = 256 << 10,
                         .clock = &clock_});
  }
  static v1::Batch LogBatch(uint64_t file_id, uint64_t end, size_t bytes = 10) {
    v1::Batch batch = Batch(bytes, end);
    auto* frame = batch.add_logs();
    frame->set_file_id(file_id);
    frame->set_end_offset(end);
    return batch;
  }
  ManualClock clock_{1'700'000'000 * kNsPerSecond};
};

TEST_F(SpoolLogsTest, BulkWaitsBehindASlowAggregatorWhereShortChunksDoNot) {
  const auto spool = OpenWithClock();
  uint64_t put = 0, acknowledged = 0;
  for (int round = 0; round < 20; ++round) {
    while (!spool->Congested(LogRoom::kBulk)) {
      auto batch = LogBatch(7, ++put, 32 << 10);
      ASSERT_TRUE(spool->Put(batch, 1));
    }
    clock_.Advance(kNsPerSecond);
    ASSERT_TRUE(spool->Acknowledge(spool->session(), acknowledged = put));
  }
  while (!spool->Congested(LogRoom::kBulk)) {
    auto batch = LogBatch(7, ++put, 32 << 10);
    ASSERT_TRUE(spool->Put(batch, 1));
  }
  EXPECT_FALSE(spool->Congested(LogRoom::kShort));
  EXPECT_LE(put - acknowledged, LogWindow::kMinBytes / (24 << 10) + 1);
  // Quick again: as wide as is configured.
  for (int round = 0; round < 30; ++round) {
    ASSERT_TRUE(spool->Acknowledge(spool->session(), put));
    while (!spool->Congested(LogRoom::kBulk)) {
      auto batch = LogBatch(7, ++put, 32 << 10);
      ASSERT_TRUE(spool->Put(batch, 1));
    }
  }
  EXPECT_TRUE(spool->Congested(LogRoom::kShort));
  EXPECT_FALSE(spool->Congested(LogRoom::kAtRisk));
}

TEST_F(SpoolLogsTest, TheBacklogFollowsWhatWasPromptBeforeItAndHoldsNothingElseUp) {
  const auto spool = OpenWithClock();
  const uint64_t prompt = spool->session(), backlog = spool->Sessions(Lane::kBacklog).back();
  auto before = LogBatch(7, 100);
  ASSERT_TRUE(spool->Put(before, 1));
  auto saved = LogBatch(7, 200);
  ASSERT_TRUE(spool->Put(Lane::kBacklog, saved, 1));
  auto after = LogBatch(8, 50);
  ASSERT_TRUE(spool->Put(after, 1));
  EXPECT_EQ(saved.session(), backlog);
  EXPECT_EQ(saved.sequence(), 1u);
  EXPECT_EQ(Read(*spool, prompt, 2).logs(0).file_id(), 8u) << "before the backlog is sent";
  EXPECT_FALSE(spool->Read(backlog, 1)->has_value()) << "what was read of file 7 before is not there yet";
  EXPECT_TRUE(spool->InBacklog(7));
  EXPECT_FALSE(spool->InBacklog(8));
  ASSERT_TRUE(spool->Acknowledge(prompt, 1));
  EXPECT_EQ(Read(*spool, backlog, 1).logs(0).end_offset(), 200u) << "what came later need not be there";
  ASSERT_TRUE(spool->Acknowledge(backlog, 1));
  EXPECT_FALSE(spool->InBacklog(7));
  EXPECT_EQ(spool->LogPosition(7), 200u);
  EXPECT_EQ(spool->batches(), 1u);
}

TEST_F(SpoolLogsTest, TheBacklogOfAnEarlierRunFollowsThatRunAndNotThisOne) {
  uint64_t prompt = 0, backlog = 0;
  {
    const auto spool = OpenWithClock();
    prompt = spool->session();
    backlog = spool->Sessions(Lane::kBacklog).back();
    auto before = LogBatch(7, 100);
    ASSERT_TRUE(spool->Put(before, 1));
    auto saved = LogBatch(7, 200);
    ASSERT_TRUE(spool->Put(Lane::kBacklog, saved, 1));
  }
  const auto spool = OpenWithClock();
  auto fresh = LogBatch(9, 10);
  ASSERT_TRUE(spool->Put(fresh, 1));
  EXPECT_EQ(spool->Sessions(), (std::vector<uint64_t>{prompt, spool->session()}));
  EXPECT_EQ(spool->Sessions(Lane::kBacklog).size(), 2u);
  EXPECT_EQ(spool->Sessions(Lane::kBacklog).front(), backlog);
  EXPECT_TRUE(spool->InBacklog(7));
  EXPECT_FALSE(spool->Read(backlog, 1)->has_value());
  ASSERT_TRUE(spool->SkipLog(7, 150));
  ASSERT_TRUE(spool->Acknowledge(prompt, 1));
  EXPECT_EQ(Read(*spool, backlog, 1).logs(0).end_offset(), 200u);
  ASSERT_TRUE(spool->SkipLog(7, 300));
  EXPECT_TRUE(spool->InBacklog(7)) << "giving up the rest does not bring what was taken";
  // A new session in the same run, too.
  ASSERT_TRUE(spool->StartSession());
  auto saved = LogBatch(9, 20);
  ASSERT_TRUE(spool->Put(Lane::kBacklog, saved, 1));
  const uint64_t second = saved.session();
  EXPECT_FALSE(spool->Read(second, 1)->has_value());
  ASSERT_TRUE(spool->Acknowledge(fresh.session(), 1));
  EXPECT_TRUE(spool->Read(second, 1)->has_value());
}

TEST_F(SpoolLogsTest, TheBacklogHasHalfOfTheRoad) {
  const auto spool = OpenWithClock();
  const auto bulk = [&] {
    uint64_t put = 0;
    while (!spool->Congested(LogRoom::kBulk)) {
      auto batch = LogBatch(7, ++put, 16 << 10);
      EXPECT_TRUE(spool->Put(batch, 1));
    }
    return put;
  };
  const uint64_t alone = bulk();
  ASSERT_TRUE(spool->Acknowledge(spool->session(), alone));
  auto saved = LogBatch(8, 200, 1 << 20);
  ASSERT_TRUE(spool->Put(Lane::kBacklog, saved, 1));
  EXPECT_LE(bulk(), alone / 2 + 1);
  EXPECT_FALSE(spool->Congested(LogRoom::kShort)) << "as much as is in the backlog";
  EXPECT_TRUE(spool->BacklogMayGo(0));
  EXPECT_FALSE(spool->BacklogMayGo(1 << 20));
}

TEST_F(SpoolLogsTest, WhatWasGivenUpStaysGivenUp) {
  {
    const auto spool = OpenWithClock();
    auto batch = LogBatch(7, 100);
    ASSERT_TRUE(spool->Put(batch, 1));
    ASSERT_TRUE(spool->SkipLog(7, 1000));
    auto late = LogBatch(7, 200);  // was read before it was given up
    ASSERT_TRUE(spool->Put(late, 1));
    EXPECT_EQ(spool->LogPosition(7), 1000u);
    ASSERT_TRUE(spool->SkipLog(7, 500));
  }
  EXPECT_EQ(OpenWithClock()->LogPosition(7), 1000u);
}

TEST_F(SpoolLogsTest, WhatIsUnreadOfLogsIsNotedUntilItIsNotAnyMore) {
  {
    const auto spool = OpenWithClock();
    EXPECT_FALSE(spool->IsKnownLog(7));
    ASSERT_TRUE(spool->NoteUnreadLogs({{7, 100, "default", "web-1", "nginx"}, {8, 5, "", "", ""}, {9, 1, "a", "b", "c"}}));
    ASSERT_TRUE(spool->NoteUnreadLogs({{7, 200, "default", "web-1", "nginx"}, {9, 0, "", "", ""}}));
  }
  const auto spool = OpenWithClock();
  const auto logs = spool->UnreadLogs();
  ASSERT_EQ(logs.size(), 2u);
  EXPECT_EQ(logs[0].file_id, 7u);
  EXPECT_EQ(logs[0].size, 200u);
  EXPECT_EQ(logs[0].name_space + "/" + logs[0].pod + "/" + logs[0].container, "default/web-1/nginx");
  EXPECT_EQ(logs[1].container, "");
  EXPECT_TRUE(spool->IsKnownLog(8));
  EXPECT_EQ(spool->LogPosition(8), 0u);
  ASSERT_TRUE(spool->ForgetLog(8));
  EXPECT_FALSE(spool->IsKnownLog(8));
}

TEST_F(SpoolLogsTest, PositionsOfFilesThatAreGoneAreForgotten) {
  {
    const auto spool = OpenWithClock();
    for (uint64_t id = 1; id <= 4; ++id) {
      auto batch = LogBatch(id, 10 * id);
      ASSERT_TRUE(spool->Put(batch, 1));
    }
    EXPECT_EQ(*spool->ForgetUnusedLogs(), 0u) << "all are of this run";
    ASSERT_TRUE(spool->ForgetLog(4));
  }
  {
    const auto spool = OpenWithClock();
    EXPECT_EQ(spool->LogPosition(1), 10u);
    auto batch = LogBatch(2, 25);
    ASSERT_TRUE(spool->Put(batch, 1));
    EXPECT_EQ(*spool->ForgetUnusedLogs(), 1u) << "3: neither asked for nor written";
  }
  const auto spool = OpenWithClock();
  EXPECT_EQ(spool->LogPosition(1), 10u);
  EXPECT_EQ(spool->LogPosition(2), 25u);
  EXPECT_EQ(spool->LogPosition(3), 0u);
  EXPECT_EQ(spool->LogPosition(4), 0u);
}

TEST_F(SpoolTest, ReopenFindsOlderSessionsFirst) {
  uint64_t first = 0, second = 0;
  {
    const auto spool = Open();
    first = spool->session();
    auto batch = Batch();
    ASSERT_TRUE(spool->Put(batch, 3));
  }
  { Open(); }  // a session without batches leaves nothing behind
  {
    const auto spool = Open();
    second = spool->session();
    EXPECT_NE(first, second);
    EXPECT_EQ(spool->counters().recovered_records, 3u);
    auto batch = Batch();
    ASSERT_TRUE(spool->Put(batch, 1));
    EXPECT_EQ(spool->Sessions(), (std::vector<uint64_t>{first, second}));
    EXPECT_EQ(Read(*spool, first, 1).session(), first);
    ASSERT_TRUE(spool->Acknowledge(first, 1));
    EXPECT_EQ(spool->Sessions(), (std::vector<uint64_t>{second}));
    EXPECT_FALSE(spool->Read(first, 1)->has_value());
  }
}

TEST_F(SpoolTest, DefinitionsAreKeptForAsLongAsTheirSession) {
  uint64_t session = 0;
  {
    const auto spool = Open();
    session = spool->session();
    for (uint32_t i = 0; i < 3; ++i) {
      auto batch = Batch();
      for (uint32_t j = 1; j <= 2; ++j) {
        auto* definition = batch.add_series();
        definition->set_ref(2 * i + j);
        definition->set_name("m" + std::to_string(2 * i + j));
      }
      auto* stream = batch.add_log_streams();
      stream->set_ref(i + 1);
      ASSERT_TRUE(spool->Put(batch, 1));
    }
    const auto read = *spool->Read(session, 2);
    EXPECT_EQ(read->series_before, 2u);
    EXPECT_EQ(read->series_after, 4u);
    EXPECT_EQ(read->streams_before, 1u);
    ASSERT_TRUE(spool->Acknowledge(session, 2));
  }
  const auto spool = Open();
  const auto definitions = spool->ReadDefinitions(session, 2, 4, 1, 3);
  ASSERT_TRUE(definitions.has_value());
  ASSERT_EQ(definitions->series_size(), 3);
  EXPECT_EQ(definitions->series(0).name(), "m2");
  EXPECT_EQ(definitions->log_streams_size(), 3);
  EXPECT_FALSE(spool->ReadDefinitions(session, 6, 7, 1, 0).has_value());
}

TEST_F(SpoolTest, LogPositionsSurviveTheirBatch) {
  {
    const auto spool = Open();
    auto batch = Batch();
    auto* frame = batch.add_logs();
    frame->set_file_id(77);
    frame->set_end_offset(1234);
    ASSERT_TRUE(spool->Put(batch, 1));
    ASSERT_TRUE(spool->Acknowledge(spool->session(), 1));
  }
  const auto spool = Open();
  EXPECT_EQ(spool->LogPosition(77), 1234u);
  EXPECT_EQ(spool->LogPosition(78), 0u);
}

TEST_F(SpoolTest, DiscardedBatchesAreSkippedAndCounted) {
  const auto spool = Open();
  for (int i = 0; i < 3; ++i) {
    auto batch = Batch();
    ASSERT_TRUE(spool->Put(batch, 1));
  }
  ASSERT_TRUE(spool->Discard(spool->session(), 2));
  EXPECT_EQ((*spool->Read(spool->session(), 2))->sequence, 3u);
  ASSERT_TRUE(spool->Acknowledge(spool->session(), 3));
  EXPECT_EQ(spool->counters().dropped_records, 1u);
  EXPECT_EQ(spool->counters().delivered_records, 2u);
  EXPECT_EQ(spool->bytes(), 0u);
}

TEST_F(SpoolTest, ANewSessionFollowsTheOldOne) {
  const auto spool = Open();
  const uint64_t first = spool->session();
  auto batch = Batch();
  batch.add_series()->set_ref(1);
  ASSERT_TRUE(spool->Put(batch, 1));
  ASSERT_TRUE(spool->StartSession());
  batch = Batch();
  batch.add_series()->set_ref(1);
  ASSERT_TRUE(spool->Put(batch, 1));
  EXPECT_EQ(batch.sequence(), 1u);
  EXPECT_EQ(spool->Sessions(), (std::vector<uint64_t>{first, spool->session()}));
  EXPECT_EQ((*spool->Read(spool->session(), 1))->series_before, 0u);
}

TEST_F(SpoolTest, InMemoryKeepsNoFiles) {
  const auto spool = Spool::Open({.folder = "", .max_bytes = uint64_t{1} << 40});
  ASSERT_TRUE(spool.has_value());
  auto batch = Batch();
  ASSERT_TRUE((*spool)->Put(batch, 1));
  EXPECT_EQ((*spool)->batches(), 1u);
  EXPECT_TRUE(std::filesystem::is_empty(folder_));
}

TEST_F(SpoolTest, ADamagedSpoolIsMovedAside) {
  { Open(); }
  std::ofstream(folder_ + "/spool/CURRENT") << "nonsense\n";
  const auto spool = Open();
  ASSERT_NE(spool, nullptr);
  auto batch = Batch();
  EXPECT_TRUE(spool->Put(batch, 1));
  int folders = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder_)) folders += entry.is_directory();
  EXPECT_EQ(folders, 2);
}

TEST_F(SpoolTest, ASecondAgentIsRefused) {
  const auto spool = Open();
  EXPECT_FALSE(Spool::Open({.folder = folder_ + "/spool"}).has_value());
}

// A child writes until SIGKILL; what it said to have written must be there.
TEST_F(SpoolTest, SurvivesSigkill) {
  for (int round = 0; round < 5; ++round) {
    int pipe_fds[2];
    ASSERT_EQ(pipe(pipe_fds), 0);
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      close(pipe_fds[0]);
      auto spool = Spool::Open({.folder = folder_ + "/spool", .max_bytes = 64 << 20});
      if (!spool) _exit(1);
      for (uint64_t i = 1;; ++i) {
        auto batch = Batch(500, i);
        if (!(*spool)->Put(batch, 1)) _exit(1);
        const uint64_t written[] = {(*spool)->session(), i};
        if (write(pipe_fds[1], written, sizeof written) != sizeof written) _exit(1);
      }
    }
    close(pipe_fds[1]);
    uint64_t written[2] = {};
    for (int i = 0; i < 200 + 37 * round; ++i) {
      ASSERT_EQ(read(pipe_fds[0], written, sizeof written), static_cast<ssize_t>(sizeof written));
    }
    kill(child, SIGKILL);
    while (read(pipe_fds[0], written, sizeof written) == static_cast<ssize_t>(sizeof written)) {
    }
    close(pipe_fds[0]);
    waitpid(child, nullptr, 0);
    const auto spool = Open(64 << 20);
    ASSERT_NE(spool, nullptr);
    const auto sessions = spool->Sessions();
    ASSERT_GE(sessions.size(), 2u);
    EXPECT_EQ(sessions[sessions.size() - 2], written[0]);
    EXPECT_GE(spool->LastSequence(written[0]), written[1]);
    EXPECT_EQ(Read(*spool, written[0], written[1]).sequence(), written[1]);
  }
}

}  // namespace
}  // namespace faultline
