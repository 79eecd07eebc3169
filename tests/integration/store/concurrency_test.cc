// Readers during writes: what a reader sees is complete up to some batch, and never goes back.
#include <thread>

#include "tests/support/store_fixture.h"

namespace faultline {
namespace {

constexpr uint64_t kBatches = 400;
constexpr size_t kWriters = 2;

class ConcurrencyTest : public StoreFixture {
 protected:
  void Write(size_t writer) {
    const std::string name = std::to_string(writer);
    const SeriesId id = Series({{"__name__", "m"}, {"writer", name}});
    const StreamId stream = store_->InternStream({{"writer", name}}).value();
    for (uint64_t i = 0; i < kBatches; ++i) {
      AppendBatch batch;
      batch.node = "n" + name;
      batch.session = 1;
      batch.sequence = i + 1;
      batch.previous_sequence = i;
      // Several samples per batch so that heads fill up and seal under the readers.
      for (int64_t k = 0; k < 10; ++k) {
        const int64_t at = static_cast<int64_t>(i) * 10 + k;
        batch.samples.push_back({id, at * 1000, static_cast<double>(at)});
      }
      batch.samples.push_back(
          {Series({{"__name__", "churn"}, {"writer", name}, {"i", std::to_string(i)}}), 1, 1});
      AppendBatch::LogRows rows{stream, 1, i, i + 1, {}};
      v1::LogRecord& record = rows.records.emplace_back();
      record.set_offset(i);
      record.set_time_unix_ns(static_cast<int64_t>(i));
      record.set_body(std::string(2000, 'x'));  // blocks are cut on the way
      batch.logs.push_back(std::move(rows));
      store_->Append(std::move(batch), [&](Result<void> result) {
        EXPECT_TRUE(result) << result.error().message;
        ++done_;
      });
      if (i % 16 == 0) std::this_thread::yield();
    }
  }
  void ReadSamples(size_t writer) {
    const LabelMatcher matchers[] = {
        {LabelMatcher::Op::kEqual, "__name__", "m"},
        {LabelMatcher::Op::kMatches, "writer", std::to_string(writer)}};
    size_t last = 0;
    while (!stop_) {
      const auto ids = store_->Select(matchers, 0, INT64_MAX);
      ASSERT_TRUE(ids);
      if (ids->empty()) continue;
      const auto samples = All(ids->front());
      ASSERT_GE(samples.size(), last);
      last = samples.size();
      for (size_t i = 0; i < samples.size(); ++i)
        ASSERT_EQ(samples[i].value, static_cast<double>(i));
    }
  }
  void ReadLogs(size_t writer) {
    LogQuery query;
    query.matchers = {{LabelMatcher::Op::kEqual, "writer", std::to_string(writer)}};
    query.end_unix_ns = INT64_MAX;
    int64_t last = 0;
    while (!stop_) {
      query.newest_first = !query.newest_first;
      int64_t count = 0;
      ASSERT_TRUE(
          store_->ScanLogs(query, [&](const Labels&, const LogEntry&) { return ++count, true; }));
      ASSERT_GE(count, last);
      last = count;
    }
  }

  std::atomic<uint64_t> done_ = 0;
  std::atomic<bool> stop_ = false;
};

TEST_F(ConcurrencyTest, ReadersSeePrefixes) {
  store_.reset();
  options_.log_round_bytes = 10'000;
  options_.commit_interval_ns = kNsPerMs;
  Open();
  std::vector<std::thread> threads;
  for (size_t i = 0; i < kWriters; ++i) {
    threads.emplace_back([this, i] { Write(i); });
    threads.emplace_back([this, i] { ReadSamples(i); });
    threads.emplace_back([this, i] { ReadLogs(i); });
  }
  ASSERT_TRUE(store_->Snapshot(folder_ + "/copy"));
  ASSERT_TRUE(store_->Retain(0));
  ASSERT_TRUE(store_->LabelNames({}, 0, INT64_MAX));
  const int64_t deadline = clock_.SteadyNs() + 120 * kNsPerSecond;
  while (done_ < kWriters * kBatches && clock_.SteadyNs() < deadline) std::this_thread::yield();
  stop_ = true;
  for (std::thread& thread : threads) thread.join();
  ASSERT_EQ(done_, kWriters * kBatches);
  LogQuery query;
  query.end_unix_ns = INT64_MAX;
  size_t lines = 0;
  ASSERT_TRUE(
      store_->ScanLogs(query, [&](const Labels&, const LogEntry&) { return ++lines, true; }));
  EXPECT_EQ(lines, kWriters * kBatches);
}

}  // namespace
}  // namespace faultline
