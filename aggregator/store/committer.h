// Group commit: batches wait in a bounded queue; one thread takes all that are there, at most once
// per interval and at once when idle, puts them into one RocksDB write, syncs once, publishes and
// calls back. So data and watermark are one atomic step, and many agents share a sync.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

#include "aggregator/store/log_store.h"
#include "aggregator/store/records.h"
#include "aggregator/store/samples.h"
#include "aggregator/store/sessions.h"
#include "common/clock.h"

namespace faultline::store {

class Committer {
 public:
  using Done = std::function<void(Result<void>)>;
  struct Parts {
    Engine& engine;
    SessionTable& sessions;
    SampleStore& samples;
    LogStore& logs;
    RecordStore& records;
  };
  Committer(Parts parts, const Clock* clock, int64_t interval_ns);
  // Commits what is queued, then ends.
  ~Committer();
  Committer(const Committer&) = delete;
  Committer& operator=(const Committer&) = delete;

  void Append(AppendBatch&& batch, Done done);
  // Runs `work` on the commit thread after all that is queued, and waits for it. Not from a
  // callback.
  Result<void> Run(std::function<Result<void>()> work);
  uint64_t commits() const { return commits_; }

 private:
  struct Item {
    AppendBatch batch;
    Done done;
    std::function<Result<void>()> work;  // instead of a batch
    size_t bytes = 0;
  };
  void Loop();
  std::deque<Item> Take();
  void Commit(std::deque<Item>& items);
  void SettleIfQuiet();
  bool Stage(Item& item, rocksdb::WriteBatch& write);

  Parts parts_;
  const Clock* clock_;
  const int64_t interval_ns_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Item> queue_;
  size_t queued_bytes_ = 0;
  bool closing_ = false;
  int64_t last_commit_ns_ = 0;  // steady
  int64_t last_batch_ns_ = 0;
  bool settled_ = true;
  bool refused_ = false;      // the last commit failed; work that waits is not hurried then
  bool round_asked_ = false;  // since the last batch, for the settling to come
  std::atomic<uint64_t> commits_ = 0;
  std::thread thread_;  // last: runs with all of the above
};

}  // namespace faultline::store
