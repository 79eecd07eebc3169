// Samples and their series. Writing is the commit thread's: Stage what a batch brings, StageRecord
// into the commit's write, then Publish once it is durable, or Discard. Only Publish touches the
// heads, so readers see what is durable, and a restart that replays the durable log meets the same
// samples in the same order and arrives at the same heads.
#pragma once

#include <atomic>
#include <deque>
#include <map>
#include <mutex>
#include <shared_mutex>
#include <span>
#include <string>
#include <vector>

#include "aggregator/store/encoded_series.h"
#include "aggregator/store/engine.h"
#include "aggregator/store/heads.h"
#include "aggregator/store/label_index.h"
#include "aggregator/store/store.h"

namespace faultline::store {

class SampleStore {
 public:
  SampleStore(Engine& engine, const StoreOptions& options);
  Result<void> Load();

  Result<SeriesId> Intern(const Labels& labels, const SeriesMeta& meta);
  Result<SeriesId> InternEncoded(std::string_view key, const LabelsOfKey& labels);
  void LearnMeta(const std::string& metric, const SeriesMeta& meta);

  // ---- Commit thread ----
  void Stage(const std::vector<AppendBatch::SampleRow>& rows);
  void StageRecord(rocksdb::WriteBatch& batch);
  void Publish();
  void Discard();
  // Something waits for the next commit even if no batch comes.
  bool HasWork() const;
  // The commit under way lets files of the log go: what makes that right must be on disk by then.
  bool ends_round() const { return staged_round_ends_; }
  // The next commits save all heads and drop the log, however short it is.
  void WantRound() { round_wanted_ = bytes_since_round_ > 0; }
  Result<void> Retain(int64_t oldest_ms);

  // ---- Any thread ----
  Result<std::vector<SeriesId>> Select(std::span<const LabelMatcher> matchers, int64_t begin_ms,
                                       int64_t end_ms) const;
  Result<Labels> LabelsOf(SeriesId series) const;
  Result<SeriesMeta> MetaOf(SeriesId series) const;
  Result<std::vector<Sample>> Fetch(SeriesId series, int64_t begin_ms, int64_t end_ms) const;
  Result<void> FetchMany(std::span<const SeriesId> series, int64_t begin_ms, int64_t end_ms,
                         const Store::TakeSamples& take) const;
  Result<std::vector<std::string>> LabelNames(std::span<const LabelMatcher> matchers,
                                              int64_t begin_ms, int64_t end_ms) const;
  Result<std::vector<std::string>> LabelValues(std::string_view name,
                                               std::span<const LabelMatcher> matchers,
                                               int64_t begin_ms, int64_t end_ms) const;
  std::vector<std::pair<std::string, SeriesMeta>> Metadata() const;
  void AddStats(StoreStats& stats) const;

 private:
  Result<void> LoadDefinitions();
  Result<void> LoadHeads(std::vector<uint64_t>& snapshot_record);
  Result<void> Replay(const std::vector<uint64_t>& snapshot_record);
  Result<void> ReplayRecord(uint64_t record, std::string_view bytes,
                            const std::vector<uint64_t>& snapshot_record);
  uint64_t CountActive() const;
  void StageDefinitions(rocksdb::WriteBatch& batch);
  void StageSealed(rocksdb::WriteBatch& batch);
  void StageSnapshots(rocksdb::WriteBatch& batch, size_t record_bytes);
  void DropOldLog();
  void GiveBackMemory();
  // Small chunks are merged some commits after they were written; what is lost in a crash is merged
  // with the next.
  struct Merge {
    uint32_t series = 0;
    int64_t day = 0;
    bool day_ended = false;
    uint64_t commit = 0;  // that queued it
  };
  void StageMerges(rocksdb::WriteBatch& batch);
  void StageMerge(const Merge& merge, rocksdb::WriteBatch& batch) const;
  uint64_t RoundBytes() const;
  // A series about to be read: what memory has of it, and what of the disk is to be read after.
  struct Reading {
    size_t place = 0;  // in the caller's list
    uint32_t series = 0;
    int64_t begin_ms = 0;
    int64_t end_ms = 0;
    bool reads_chunks = false;
    HeadTable::View view;
  };
  bool Open(uint32_t series, int64_t begin_ms, int64_t end_ms, Reading& reading) const;
  Result<void> ReadGroup(std::span<Reading> group, const Store::TakeSamples& take) const;
  void Finish(Reading& reading, Engine::Range* range, std::vector<Sample>& samples) const;
  void ReadChunks(Engine::Range& range, uint32_t series, bool late, int64_t begin_ms,
                  int64_t end_ms, std::vector<Sample>& out) const;
  void ReadDay(Engine::Range& range, uint32_t series, bool late, int64_t day, int64_t begin_ms,
               int64_t end_ms, std::vector<Sample>& out) const;
  void ReportDamage(uint32_t series, int64_t time_ms, std::string_view reason) const;

  Engine& engine_;
  const uint64_t max_series_;
  const uint64_t round_bytes_;
  LabelIndex index_;
  HeadTable heads_;
  EncodedSeries encoded_;

  std::mutex intern_mutex_;  // one new series at a time; guards the three below
  std::atomic<uint32_t> last_id_ = 0;
  std::vector<std::pair<std::string, std::string>> new_definitions_;  // key, value: not written yet
  std::vector<std::pair<std::string, std::string>> staged_definitions_;

  mutable std::shared_mutex meta_mutex_;
  std::map<std::string, SeriesMeta> metas_;

  // Commit thread only.
  std::vector<AppendBatch::SampleRow> staged_;
  SealedChunks sealed_;         // not written yet
  SealedChunks staged_sealed_;  // in the commit under way
  uint64_t last_record_ = 0;    // of the durable log
  bool staged_record_ = false;
  // Snapshots of heads go round: each commit takes a few ids along, and when the round is done, all
  // samples logged before it are in chunks or snapshots, and that part of the log goes.
  uint64_t bytes_since_round_ = 0;
  bool round_wanted_ = false;
  uint32_t round_next_id_ = 0;  // 0: no round under way
  uint64_t round_first_record_ = 0;
  std::vector<uint32_t> staged_snapshots_;
  uint32_t staged_next_id_ = 0;
  bool staged_round_ends_ = false;

  std::deque<Merge> merges_;
  size_t staged_merges_ = 0;
  size_t new_since_trim_ = 0;
  uint64_t commit_ = 0;

  mutable std::atomic<uint64_t> active_ = 0;  // as counted at that time
  mutable std::atomic<int64_t> active_steady_ns_ = 0;
  std::atomic<uint64_t> appended_ = 0;
  std::atomic<uint64_t> rejected_ = 0;
};

}  // namespace faultline::store
