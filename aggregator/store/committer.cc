#include "aggregator/store/committer.h"

#include <chrono>
#include <future>
#include <utility>

namespace faultline::store {
namespace {

constexpr size_t kMaxQueuedBytes = 256 << 20;
constexpr auto kIdlePeriod =
    std::chrono::seconds(1);  // how often due blocks and chunks are looked for
constexpr auto kBacklogPeriod =
    std::chrono::milliseconds(50);  // the same while chunks wait to be merged or heads to be saved
constexpr int64_t kSettleAfterNs = 10 * kNsPerSecond;  // without a batch

size_t BytesOf(const AppendBatch& batch) {
  size_t bytes = sizeof(AppendBatch) + batch.samples.size() * sizeof(AppendBatch::SampleRow);
  for (const auto& rows : batch.logs) {
    for (const auto& record : rows.records) bytes += sizeof(record) + record.body().size();
  }
  return bytes + batch.spans.size() * sizeof(v1::Span) + batch.events.size() * sizeof(v1::Event) +
         batch.faults.size() * sizeof(v1::FaultTransition) + batch.checks.size() * 1024 + batch.series_refs.size() * 16 +
         batch.stream_refs.size() * 16;
}

}  // namespace

Committer::Committer(Parts parts, const Clock* clock, int64_t interval_ns)
    : parts_(parts), clock_(clock), interval_ns_(interval_ns), thread_([this] { Loop(); }) {}

Committer::~Committer() {
  {
    std::lock_guard lock(mutex_);
    closing_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

void Committer::Append(AppendBatch&& batch, Done done) {
  const size_t bytes = BytesOf(batch);
  {
    std::lock_guard lock(mutex_);
    if (!closing_ && (queue_.empty() || queued_bytes_ + bytes <= kMaxQueuedBytes)) {
      queued_bytes_ += bytes;
      queue_.push_back({std::move(batch), std::move(done), nullptr, bytes});
      wake_.notify_one();
      return;
    }
  }
  done(Fail(ErrorCode::kUnavailable, "store: {} MiB wait to be written already",
            kMaxQueuedBytes >> 20));
}

Result<void> Committer::Run(std::function<Result<void>()> work) {
  std::promise<Result<void>> promise;
  {
    std::lock_guard lock(mutex_);
    if (closing_) return Fail(ErrorCode::kUnavailable, "store: closing");
    queue_.push_back({{},
                      [&](Result<void> result) { promise.set_value(std::move(result)); },
                      std::move(work),
                      0});
  }
  wake_.notify_one();
  return promise.get_future().get();
}

std::deque<Committer::Item> Committer::Take() {
  std::unique_lock lock(mutex_);
  const auto ready = [&] { return closing_ || !queue_.empty(); };
  const std::chrono::milliseconds period = parts_.samples.HasWork() && !refused_ ? kBacklogPeriod : kIdlePeriod;
  if (wake_.wait_for(lock, period, ready) && !closing_) {
    // Gather until a whole interval has passed since the last commit. Real time: this is about the
    // disk, not the data.
    const int64_t left_ns = last_commit_ns_ + interval_ns_ - SystemClock().SteadyNs();
    if (left_ns > 0)
      wake_.wait_for(lock, std::chrono::nanoseconds(left_ns), [&] { return closing_; });
  }
  queued_bytes_ = 0;
  return std::exchange(queue_, {});
}

void Committer::Loop() {
  for (bool open = true; open;) {
    std::deque<Item> items = Take();
    last_commit_ns_ = SystemClock().SteadyNs();
    std::deque<Item> batches;
    const bool idle = items.empty();
    if (!idle) {
      settled_ = false;
      round_asked_ = false;
      last_batch_ns_ = last_commit_ns_;
    }
    if (idle && !settled_) SettleIfQuiet();
    for (Item& item : items) {
      if (!item.work) {
        batches.push_back(std::move(item));
        continue;
      }
      Commit(batches);
      item.done(item.work());
    }
    if (!batches.empty() ||
        (idle && (parts_.samples.HasWork() || parts_.logs.HasWork(clock_->UnixNs())))) {
      Commit(batches);
    }
    std::lock_guard lock(mutex_);
    open = !closing_ || !queue_.empty();
  }
  // What is saved now need not be read again at the next start.
  parts_.samples.WantRound();
  std::deque<Item> none;
  for (uint64_t before = commits_ - 1; parts_.samples.HasWork() && commits_ != before;) {
    before = commits_;
    Commit(none);
  }
}

// Nothing has come for a while: small chunks are merged, the log goes into snapshots; when that is
// done, memory goes into files, and files are tidied up.
void Committer::SettleIfQuiet() {
  if (last_commit_ns_ - last_batch_ns_ < kSettleAfterNs) return;
  if (!round_asked_) {
    round_asked_ = true;
    parts_.samples.WantRound();
  }
  if (parts_.samples.HasWork()) return;
  settled_ = true;
  parts_.engine.SettleLater();
}

// False: the batch takes no part in this commit and has been answered.
bool Committer::Stage(Item& item, rocksdb::WriteBatch& write) {
  const AppendBatch& batch = item.batch;
  const int64_t now = clock_->UnixNs();
  switch (parts_.sessions.Stage(batch, now, write)) {
    case SessionTable::Verdict::kDuplicate:
      item.work = [] { return Result<void>(); };
      break;
    case SessionTable::Verdict::kGap:
      item.work = [watermark = parts_.sessions.WatermarkOf(batch.node, batch.session),
                   previous = batch.previous_sequence, node = batch.node]() -> Result<void> {
        return Fail(ErrorCode::kUnavailable,
                    "store: node {}: batch follows {}, but {} is the last one stored", node,
                    previous, watermark);
      };
      break;
    case SessionTable::Verdict::kTake:
      parts_.samples.Stage(batch.samples);
      parts_.logs.Stage(batch, now, write);
      parts_.records.Stage(batch, write);
      return true;
  }
  return false;
}

void Committer::Commit(std::deque<Item>& items) {
  rocksdb::WriteBatch write;
  bool any = false;
  for (Item& item : items) any |= Stage(item, write);
  parts_.samples.StageRecord(write);
  parts_.logs.StageBlocks(clock_->UnixNs(), write);
  Result<void> written;
  const bool sync = any || parts_.samples.ends_round();
  if (write.Count() > 0) written = parts_.engine.Write(write, sync);
  refused_ = !written;
  if (written) {
    parts_.sessions.Publish();
    parts_.samples.Publish();
    parts_.logs.Publish();
    ++commits_;
  } else {
    parts_.sessions.Discard();
    parts_.samples.Discard();
    parts_.logs.Discard();
  }
  for (Item& item : items) {
    // A duplicate of a batch in this very commit is only durable if the commit is.
    Result<void> result = item.work && written ? item.work() : written;
    if (item.done) item.done(std::move(result));
  }
  items.clear();
}

}  // namespace faultline::store
