#include "aggregator/store/samples.h"

#include <malloc.h>

#include <algorithm>

#include "aggregator/store/chunk.h"
#include "aggregator/store/keys.h"
#include "aggregator/store/sample_record.h"
#include "common/log.h"

namespace faultline::store {
namespace {

constexpr size_t kMaxLabels = 256;
constexpr size_t kMaxLabelBytes = 64 << 10;
constexpr uint32_t kMinSnapshotsPerCommit = 256;
constexpr size_t kNewSeriesPerTrim = 200'000;
constexpr uint32_t kIdleSnapshotsPerCommit = 1 << 15;
constexpr uint64_t kLeastRoundBytes = 4 << 20;
constexpr uint64_t kRoundBytesPerSeries = 400;  // several times what saving its head costs
constexpr int64_t kActiveMs =
    10 * 60 * 1000;  // active: a sample that much before the newest of all
constexpr int64_t kRecountNs = 10 * kNsPerSecond;

void EncodeMeta(const SeriesMeta& meta, std::string& out) {
  PutVarint(out, static_cast<uint64_t>(meta.type));
  PutText(out, meta.help);
}

// Sorted, without empty values; or the reason why these are no labels.
Result<Labels> Canonical(const Labels& labels) {
  Labels canonical;
  size_t bytes = 0;
  for (const auto& label : labels) {
    if (label.second.empty()) continue;
    bytes += label.first.size() + label.second.size();
    canonical.push_back(label);
  }
  SortLabels(canonical);
  if (canonical.empty()) return Fail(ErrorCode::kInvalidArgument, "series without labels");
  if (canonical.size() > kMaxLabels || bytes > kMaxLabelBytes) {
    return Fail(ErrorCode::kResourceExhausted,
                "series with {} labels of {} bytes: limits are {} and {}", canonical.size(), bytes,
                kMaxLabels, kMaxLabelBytes);
  }
  for (size_t i = 0; i < canonical.size(); ++i) {
    if (canonical[i].first.empty() || (i > 0 && canonical[i].first == canonical[i - 1].first)) {
      return Fail(ErrorCode::kInvalidArgument, "series {}: label name '{}' is empty or there twice",
                  FormatLabels(canonical), canonical[i].first);
    }
  }
  return canonical;
}

bool IsCanonical(const Labels& labels) {
  for (size_t i = 0; i < labels.size(); ++i) {
    if (labels[i].second.empty() || (i > 0 && labels[i].first <= labels[i - 1].first)) return false;
  }
  return !labels.empty() && !labels[0].first.empty();
}

}  // namespace

SampleStore::SampleStore(Engine& engine, const StoreOptions& options)
    : engine_(engine),
      max_series_(options.max_series),
      round_bytes_(options.log_round_bytes),
      heads_(options.out_of_order_ms),
      encoded_(options.max_series) {}

void SampleStore::LearnMeta(const std::string& metric, const SeriesMeta& meta) {
  const bool says_type =
      meta.type != v1::METRIC_TYPE_UNSPECIFIED && meta.type != v1::METRIC_TYPE_UNTYPED;
  {
    std::shared_lock lock(meta_mutex_);
    const auto found = metas_.find(metric);
    if (found != metas_.end() && (!says_type || found->second.type == meta.type) &&
        (meta.help.empty() || found->second.help == meta.help)) {
      return;
    }
  }
  std::string value;
  {
    std::unique_lock lock(meta_mutex_);
    SeriesMeta& known = metas_[metric];
    if (says_type) known.type = meta.type;
    if (!meta.help.empty()) known.help = meta.help;
    EncodeMeta(known, value);
  }
  std::lock_guard lock(intern_mutex_);
  new_definitions_.emplace_back(TextKey(kMetricKey, metric), std::move(value));
}

Result<SeriesId> SampleStore::Intern(const Labels& given, const SeriesMeta& meta) {
  Labels sorted;
  if (!IsCanonical(given)) {
    FAULTLINE_ASSIGN(sorted, Canonical(given));
  }
  const Labels& labels = sorted.empty() ? given : sorted;
  if (const auto metric = LabelValue(labels, "__name__"); !metric.empty()) {
    LearnMeta(std::string(metric), meta);
  }
  if (const uint32_t known = index_.Find(labels)) return known;
  if (sorted.empty()) FAULTLINE_TRY(Canonical(given));  // sizes
  std::lock_guard lock(intern_mutex_);
  if (const uint32_t known = index_.Find(labels)) return known;
  if (index_.size() >= max_series_) {
    return Fail(ErrorCode::kResourceExhausted, "store: limit store.max_series of {} series is reached",
                max_series_);
  }
  const uint32_t id = last_id_ + 1;
  std::string value;
  PutVarint(value, labels.size());
  for (const auto& [name, text] : labels) {
    PutText(value, name);
    PutText(value, text);
  }
  index_.Add(id, labels);
  last_id_ = id;
  new_definitions_.emplace_back(IdKey(kSeriesKey, id), std::move(value));
  return id;
}

Result<SeriesId> SampleStore::InternEncoded(std::string_view key, const LabelsOfKey& labels) {
  const EncodedSeries::Hash hash = encoded_.HashOf(key);
  if (const uint32_t known = encoded_.Find(hash)) return known;
  FAULTLINE_ASSIGN(const Labels made, labels());
  FAULTLINE_ASSIGN(const SeriesId id, Intern(made, {}));
  encoded_.Insert(hash, static_cast<uint32_t>(id));
  return id;
}

void SampleStore::Stage(const std::vector<AppendBatch::SampleRow>& rows) {
  const uint32_t last_id = last_id_;
  for (const auto& row : rows) {
    if (row.series == 0 || row.series > last_id || row.time_ms >= kMaxTimeMs ||
        row.time_ms <= -kMaxTimeMs) {
      ++rejected_;
      continue;
    }
    staged_.push_back(row);
  }
}

void SampleStore::StageDefinitions(rocksdb::WriteBatch& batch) {
  {
    std::lock_guard lock(intern_mutex_);
    std::move(new_definitions_.begin(), new_definitions_.end(),
              std::back_inserter(staged_definitions_));
    new_definitions_.clear();
  }
  for (const auto& [key, value] : staged_definitions_)
    batch.Put(engine_[Family::kMeta], key, value);
}

void SampleStore::StageSealed(rocksdb::WriteBatch& batch) {
  if (sealed_.empty()) return;
  for (const auto& chunk : sealed_) {
    batch.Put(engine_[Family::kChunks],
              ChunkKey(chunk->series, chunk->late, chunk->first_ms, chunk->record), chunk->bytes);
  }
  std::string progress;
  PutVarint(progress, last_record_);
  batch.Put(engine_[Family::kMeta], std::string(1, kProgressKey), progress);
  staged_sealed_.swap(sealed_);
}

uint64_t SampleStore::RoundBytes() const {
  return std::min(round_bytes_, std::max(kLeastRoundBytes, kRoundBytesPerSeries * last_id_));
}

void SampleStore::StageSnapshots(rocksdb::WriteBatch& batch, size_t record_bytes) {
  const uint32_t last_id = last_id_;
  if (round_next_id_ == 0) {
    if (bytes_since_round_ < RoundBytes() && !round_wanted_) return;
    round_wanted_ = false;
    round_next_id_ = 1;
    round_first_record_ = last_record_ + 1;
    bytes_since_round_ = 0;
  }
  // A round is done by the time a quarter of the next one's bytes are logged.
  const double share = 4.0 * static_cast<double>(record_bytes) / static_cast<double>(RoundBytes());
  const uint32_t least = record_bytes == 0 ? kIdleSnapshotsPerCommit : kMinSnapshotsPerCommit;
  const auto visits = std::max(least, static_cast<uint32_t>(std::min(1.0, share) * last_id));
  // Time is there when nothing comes.
  const HeadForm form = record_bytes == 0 ? HeadForm::kChunk : HeadForm::kBits;
  uint32_t id = round_next_id_;
  std::string value;
  for (const uint32_t stop = id + visits; id < stop && id <= last_id; ++id) {
    value.clear();
    PutVarint(value, last_record_);
    if (!heads_.SnapshotIfDirty(id, form, value)) continue;
    batch.Put(engine_[Family::kHeads], IdKey('h', id), value);
    staged_snapshots_.push_back(id);
  }
  staged_next_id_ = id;
  staged_round_ends_ = id > last_id;
  if (staged_round_ends_) {
    batch.DeleteRange(engine_[Family::kJournal], SequenceKey(kSampleRecordKey, 0),
                      SequenceKey(kSampleRecordKey, round_first_record_));
  }
}

void SampleStore::StageRecord(rocksdb::WriteBatch& batch) {
  StageDefinitions(batch);
  StageMerges(batch);
  StageSealed(batch);
  size_t record_bytes = 0;
  if (!staged_.empty()) {
    std::string record;
    EncodeSampleRecord(staged_, record);
    record_bytes = record.size();
    batch.Put(engine_[Family::kJournal], SequenceKey(kSampleRecordKey, last_record_ + 1), record);
    bytes_since_round_ += record_bytes;
    staged_record_ = true;
  }
  StageSnapshots(batch, record_bytes);
}

void SampleStore::Publish() {
  ++commit_;
  merges_.erase(merges_.begin(), merges_.begin() + static_cast<ptrdiff_t>(staged_merges_));
  staged_merges_ = 0;
  heads_.Forget(staged_sealed_);
  staged_sealed_.clear();
  new_since_trim_ += staged_definitions_.size();
  staged_definitions_.clear();
  if (new_since_trim_ >= kNewSeriesPerTrim) GiveBackMemory();
  for (const uint32_t id : staged_snapshots_) heads_.MarkClean(id);
  staged_snapshots_.clear();
  if (round_next_id_ != 0 && staged_next_id_ != 0) {
    round_next_id_ = staged_round_ends_ ? 0 : staged_next_id_;
    if (staged_round_ends_) DropOldLog();
  }
  staged_next_id_ = 0;
  staged_round_ends_ = false;
  if (staged_record_) ++last_record_;
  const HeadTable::Outcomes outcomes = heads_.ApplyAll(staged_, last_record_, sealed_);
  appended_ += outcomes.appended;
  rejected_ += outcomes.rejected;
  for (const auto& due : heads_.TakeMergesDue()) merges_.push_back({due.series, due.day, due.day_ended, commit_});
  staged_.clear();
  staged_record_ = false;
}

// Definitions on their way to disk leave holes in the heap, twice as large as what a series needs
// for good.
void SampleStore::GiveBackMemory() {
  staged_definitions_.shrink_to_fit();
  ::malloc_trim(0);
  new_since_trim_ = 0;
}

// The range tombstone has hidden it; whole files can go without waiting for a compaction.
void SampleStore::DropOldLog() {
  const auto dropped = engine_.DropFiles(Family::kJournal, SequenceKey(kSampleRecordKey, 0),
                                         SequenceKey(kSampleRecordKey, round_first_record_));
  if (!dropped && LogAllowed("store_log"))
    spdlog::warn("store: old log: {}", dropped.error().message);
}

void SampleStore::Discard() {
  staged_merges_ = 0;
  // Nothing was applied; chunks and definitions wait for the next commit.
  std::move(sealed_.begin(), sealed_.end(), std::back_inserter(staged_sealed_));
  sealed_ = std::move(staged_sealed_);
  staged_sealed_.clear();
  staged_snapshots_.clear();
  staged_next_id_ = 0;
  staged_round_ends_ = false;
  staged_.clear();
  staged_record_ = false;
}

bool SampleStore::HasWork() const {
  return !sealed_.empty() || !merges_.empty() || round_next_id_ != 0 || round_wanted_;
}

Result<void> SampleStore::LoadDefinitions() {
  FAULTLINE_TRY(engine_.Scan(Family::kMeta, std::string(1, kMetricKey),
                             [&](std::string_view key, std::string_view value) {
                               ByteReader in(value);
                               SeriesMeta& meta = metas_[std::string(key.substr(1))];
                               meta.type = static_cast<v1::MetricType>(in.Varint());
                               meta.help = std::string(in.Text());
                             }));
  return engine_.Scan(
      Family::kMeta, std::string(1, kSeriesKey), [&](std::string_view key, std::string_view value) {
        const uint32_t id = ByteReader(key.substr(1)).Be32();
        ByteReader in(value);
        Labels labels(in.Count(2));
        for (auto& [name, text] : labels) {
          name = std::string(in.Text());
          text = std::string(in.Text());
        }
        if (in.failed() || id <= last_id_ || labels.size() > kMaxLabels) {
          engine_.CountDamage();
          spdlog::error("store: definition of series {} is damaged; its samples cannot be found",
                        id);
          return;
        }
        index_.Add(id, labels);
        last_id_ = id;
      });
}

Result<void> SampleStore::LoadHeads(std::vector<uint64_t>& snapshot_record) {
  snapshot_record.assign(last_id_ + 1, 0);
  return engine_.Scan(Family::kHeads, "h", [&](std::string_view key, std::string_view value) {
    const uint32_t id = ByteReader(key.substr(1)).Be32();
    ByteReader in(value);
    const uint64_t record = in.Varint();
    if (id > last_id_ || in.failed() || !heads_.Restore(id, in.Bytes(in.left()))) {
      engine_.CountDamage();
      spdlog::error("store: snapshot of series {} is damaged; only what the log has of it is kept",
                    id);
      return;
    }
    snapshot_record[id] = record;
    last_record_ = std::max(last_record_, record);
  });
}

Result<void> SampleStore::ReplayRecord(uint64_t record, std::string_view bytes,
                                       const std::vector<uint64_t>& snapshot_record) {
  FAULTLINE_ASSIGN(const auto rows, DecodeSampleRecord(bytes));
  for (const auto& row : rows) {
    if (row.series == 0 || row.series > last_id_) {
      return Fail(ErrorCode::kCorruption, "unknown series {}", row.series);
    }
    if (snapshot_record[row.series] >= record) continue;
    heads_.Apply(static_cast<uint32_t>(row.series), row.time_ms, row.value, record, sealed_);
  }
  return {};
}

Result<void> SampleStore::Replay(const std::vector<uint64_t>& snapshot_record) {
  uint64_t sealed_through = 0;
  if (const auto progress = engine_.Get(Family::kMeta, std::string(1, kProgressKey))) {
    sealed_through = ByteReader(*progress).Varint();
  } else if (progress.error().code != ErrorCode::kNotFound) {
    return std::unexpected(progress.error());
  }
  last_record_ = std::max(last_record_, sealed_through);
  return engine_.Scan(
      Family::kJournal, std::string(1, kSampleRecordKey),
      [&](std::string_view key, std::string_view value) {
        const uint64_t record = ByteReader(key.substr(1)).Be64();
        if (const auto replayed = ReplayRecord(record, value, snapshot_record); !replayed) {
          engine_.CountDamage();
          spdlog::error("store: record {} of the sample log is damaged and left out: {}", record,
                        replayed.error().message);
        }
        bytes_since_round_ += value.size();
        last_record_ = std::max(last_record_, record);
        if (record <= sealed_through && !sealed_.empty()) {
          heads_.Forget(sealed_);  // written before the restart
          sealed_.clear();
        }
        heads_.TakeMergesDue();
      });
}

Result<void> SampleStore::Load() {
  FAULTLINE_TRY(LoadDefinitions());
  std::vector<uint64_t> snapshot_record;
  FAULTLINE_TRY(LoadHeads(snapshot_record));
  return Replay(snapshot_record);
}

uint64_t SampleStore::CountActive() const {
  int64_t newest_ms = -kMaxTimeMs;
  for (const int pass : {0, 1}) {
    uint64_t active = 0;
    for (uint32_t id = 1; id <= last_id_; ++id) {
      const auto range = heads_.RangeOf(id);
      if (!range) continue;
      if (range->max_ms >= newest_ms - kActiveMs) ++active;
      if (pass == 0) newest_ms = std::max(newest_ms, range->max_ms);
    }
    if (pass == 1) return active;
  }
  return 0;
}

void SampleStore::AddStats(StoreStats& stats) const {
  stats.series = index_.size();
  const int64_t now = SystemClock().SteadyNs();
  if (active_steady_ns_ == 0 || now - active_steady_ns_ > kRecountNs) {
    active_ = CountActive();
    active_steady_ns_ = now;
  }
  stats.active_series = active_;
  stats.samples_appended = appended_;
  stats.samples_rejected = rejected_;
}

}  // namespace faultline::store
