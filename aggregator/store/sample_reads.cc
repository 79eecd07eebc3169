// The reading half of SampleStore: which series, and their samples from disk, from chunks on their
// way there, and from the head, as one rising sequence in which the first sample stored at a time
// wins.
#include <algorithm>
#include <numeric>
#include <optional>

#include "aggregator/store/chunk.h"
#include "aggregator/store/keys.h"
#include "aggregator/store/samples.h"
#include "common/assert.h"
#include "common/log.h"
#include "common/text.h"

namespace faultline::store {
namespace {

constexpr int64_t kDamageStepMs = 60'000;
constexpr size_t kSeriesPerIterator = 64;  // RocksDB's are dear, and each holds on to files

void AppendRising(std::span<const Sample> more, std::vector<Sample>& samples) {
  for (const Sample& sample : more) {
    if (samples.empty() || sample.time_ms > samples.back().time_ms) samples.push_back(sample);
  }
}

// `samples` is rising; of those with equal times the ones already there win.
void MergeLate(std::vector<Sample>& late, std::vector<Sample>& samples) {
  if (late.empty()) return;
  const auto by_time = [](const Sample& a, const Sample& b) { return a.time_ms < b.time_ms; };
  const auto same_time = [](const Sample& a, const Sample& b) { return a.time_ms == b.time_ms; };
  std::stable_sort(late.begin(), late.end(), by_time);
  const auto middle = static_cast<ptrdiff_t>(samples.size());
  samples.insert(samples.end(), late.begin(), late.end());
  std::inplace_merge(samples.begin(), samples.begin() + middle, samples.end(), by_time);
  samples.erase(std::unique(samples.begin(), samples.end(), same_time), samples.end());
}

void Clip(int64_t begin_ms, int64_t end_ms, std::vector<Sample>& samples) {
  const auto by_time = [](const Sample& sample, int64_t time) { return sample.time_ms < time; };
  samples.erase(std::lower_bound(samples.begin(), samples.end(), end_ms + 1, by_time),
                samples.end());
  samples.erase(samples.begin(),
                std::lower_bound(samples.begin(), samples.end(), begin_ms, by_time));
}

}  // namespace

void SampleStore::ReportDamage(uint32_t series, int64_t time_ms, std::string_view reason) const {
  engine_.CountDamage();
  if (!LogAllowed("store_damage")) return;
  spdlog::error("store: chunk of series {} about {} is damaged and left out: {}", series,
                FormatTime(time_ms * kNsPerMs), reason);
}

void SampleStore::ReadDay(Engine::Range& range, uint32_t series, bool late, int64_t day,
                          int64_t begin_ms, int64_t end_ms, std::vector<Sample>& out) const {
  std::string prefix = ChunkPrefix(day, series);
  prefix.push_back(late ? 1 : 0);
  const int64_t day_start = day * kMsPerDay;
  int64_t at_ms = day_start;  // everything that begins before it is read or given up
  if (late || begin_ms <= day_start) {
    range->Seek(prefix);
  } else {
    // The chunk that began last before `begin` reaches into the window.
    at_ms = begin_ms;
    range->SeekForPrev(ChunkKey(series, false, begin_ms, 0));
    if (!range.Valid() || !range.key().starts_with(prefix)) range->Seek(prefix);
  }
  while (true) {
    for (; range.Valid() && range.key().starts_with(prefix); range->Next()) {
      const int64_t first_ms = day_start + ByteReader(range.key().substr(prefix.size())).Be32();
      if (first_ms > end_ms) return;
      at_ms = std::max(at_ms, first_ms + 1);
      const bool follows = late || out.empty() || first_ms > out.back().time_ms;
      std::vector<Sample> overlapping;
      if (!DecodeChunk(range.value(), first_ms, follows ? out : overlapping))
        ReportDamage(series, first_ms, "does not decode");
      AppendRising(overlapping, out);
    }
    const auto status = range.status();
    if (status) return;
    // A block of the file is damaged. Feel for its end, so that what lies behind it is served.
    ReportDamage(series, at_ms, status.error().message);
    at_ms += kDamageStepMs;
    if (late || at_ms > end_ms || DayOf(at_ms) != day) return;
    range->Seek(ChunkKey(series, false, at_ms, 0));
  }
}

void SampleStore::ReadChunks(Engine::Range& range, uint32_t series, bool late, int64_t begin_ms,
                             int64_t end_ms, std::vector<Sample>& out) const {
  for (int64_t day = DayOf(begin_ms); day <= DayOf(end_ms); ++day) {
    ReadDay(range, series, late, day, begin_ms, end_ms, out);
  }
}

// False if the series has nothing in [begin, end].
bool SampleStore::Open(uint32_t series, int64_t begin_ms, int64_t end_ms, Reading& reading) const {
  if (!heads_.Read(series, reading.view)) return false;
  reading.series = series;
  reading.begin_ms = std::max(begin_ms, reading.view.range.min_ms);
  reading.end_ms = std::min(end_ms, reading.view.range.max_ms);
  const std::vector<Sample>& head = reading.view.samples;
  const bool head_covers = !head.empty() && head.front().time_ms <= reading.begin_ms;
  reading.reads_chunks = !head_covers || reading.view.range.has_late;
  return reading.begin_ms <= reading.end_ms;
}

void SampleStore::Finish(Reading& reading, Engine::Range* range,
                         std::vector<Sample>& samples) const {
  std::vector<Sample> late;
  if (reading.reads_chunks) {
    ReadChunks(*range, reading.series, false, reading.begin_ms, reading.end_ms, samples);
    if (reading.view.range.has_late)
      ReadChunks(*range, reading.series, true, reading.begin_ms, reading.end_ms, late);
  }
  std::vector<Sample> chunk;
  for (const auto& sealed : reading.view.sealed) {
    chunk.clear();
    FAULTLINE_ASSERT(DecodeChunk(sealed->bytes, sealed->first_ms, chunk), "own chunk decodes");
    if (sealed->late) {
      late.insert(late.end(), chunk.begin(), chunk.end());
    } else {
      AppendRising(chunk, samples);
    }
  }
  AppendRising(reading.view.samples, samples);
  late.insert(late.end(), reading.view.late.begin(), reading.view.late.end());
  MergeLate(late, samples);
  Clip(reading.begin_ms, reading.end_ms, samples);
}

// The group's heads have been read: an iterator made after that sees all chunks that they lack.
Result<void> SampleStore::ReadGroup(std::span<Reading> group,
                                    const Store::TakeSamples& take) const {
  std::optional<Engine::Range> range;
  uint32_t first = UINT32_MAX;
  uint32_t last = 0;
  int64_t begin_ms = INT64_MAX;
  int64_t end_ms = INT64_MIN;
  for (const Reading& reading : group) {
    if (!reading.reads_chunks) continue;
    first = std::min(first, reading.series);
    last = std::max(last, reading.series);
    begin_ms = std::min(begin_ms, reading.begin_ms);
    end_ms = std::max(end_ms, reading.end_ms);
  }
  if (first <= last) {
    range.emplace(engine_, Family::kChunks, ChunkPrefix(DayOf(begin_ms), first),
                  PrefixEnd(ChunkPrefix(DayOf(end_ms), last)));
  }
  std::vector<Sample> samples;
  for (Reading& reading : group) {
    samples.clear();
    Finish(reading, range ? &*range : nullptr, samples);
    FAULTLINE_TRY(take(reading.place, samples));
  }
  return {};
}

Result<void> SampleStore::FetchMany(std::span<const SeriesId> series, int64_t begin_ms,
                                    int64_t end_ms, const Store::TakeSamples& take) const {
  std::vector<size_t> order(series.size());
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return series[a] < series[b]; });
  std::vector<Reading> group;
  std::vector<Sample> nothing;
  for (size_t i = 0; i < order.size(); ++i) {
    const SeriesId id = series[order[i]];
    if (id == 0 || id > last_id_) return Fail(ErrorCode::kNotFound, "store: no series {}", id);
    Reading& reading = group.emplace_back();
    reading.place = order[i];
    if (!Open(static_cast<uint32_t>(id), begin_ms, end_ms, reading)) {
      group.pop_back();
      nothing.clear();
      FAULTLINE_TRY(take(order[i], nothing));
    }
    if (group.size() < kSeriesPerIterator && i + 1 < order.size()) continue;
    FAULTLINE_TRY(ReadGroup(group, take));
    group.clear();
  }
  return {};
}

Result<std::vector<Sample>> SampleStore::Fetch(SeriesId series, int64_t begin_ms,
                                               int64_t end_ms) const {
  std::vector<Sample> samples;
  FAULTLINE_TRY(FetchMany({&series, 1}, begin_ms, end_ms,
                          [&](size_t, std::vector<Sample>& fetched) -> Result<void> {
                            samples = std::move(fetched);
                            return {};
                          }));
  return samples;
}

Result<std::vector<SeriesId>> SampleStore::Select(std::span<const LabelMatcher> matchers,
                                                  int64_t begin_ms, int64_t end_ms) const {
  FAULTLINE_ASSIGN(const std::vector<uint32_t> ids, index_.Select(matchers));
  std::vector<SeriesId> selected;
  selected.reserve(ids.size());
  for (const uint32_t id : ids) {
    const auto range = heads_.RangeOf(id);
    if (range && range->min_ms <= end_ms && range->max_ms >= begin_ms) selected.push_back(id);
  }
  return selected;
}

Result<Labels> SampleStore::LabelsOf(SeriesId series) const {
  Labels labels = series <= last_id_ ? index_.LabelsOf(static_cast<uint32_t>(series)) : Labels();
  if (labels.empty()) return Fail(ErrorCode::kNotFound, "store: no series {}", series);
  return labels;
}

Result<SeriesMeta> SampleStore::MetaOf(SeriesId series) const {
  FAULTLINE_ASSIGN(const Labels labels, LabelsOf(series));
  std::shared_lock lock(meta_mutex_);
  const auto found = metas_.find(std::string(LabelValue(labels, "__name__")));
  return found == metas_.end() ? SeriesMeta() : found->second;
}

Result<std::vector<std::string>> SampleStore::LabelNames(std::span<const LabelMatcher> matchers,
                                                         int64_t begin_ms, int64_t end_ms) const {
  FAULTLINE_ASSIGN(const auto selected, Select(matchers, begin_ms, end_ms));
  return index_.NamesOf(std::vector<uint32_t>(selected.begin(), selected.end()));
}

Result<std::vector<std::string>> SampleStore::LabelValues(std::string_view name,
                                                          std::span<const LabelMatcher> matchers,
                                                          int64_t begin_ms, int64_t end_ms) const {
  std::vector<LabelMatcher> all(matchers.begin(), matchers.end());
  all.push_back({LabelMatcher::Op::kNotEqual, std::string(name), ""});
  FAULTLINE_ASSIGN(const auto selected, Select(all, begin_ms, end_ms));
  return index_.ValuesOf(name, std::vector<uint32_t>(selected.begin(), selected.end()));
}

std::vector<std::pair<std::string, SeriesMeta>> SampleStore::Metadata() const {
  std::shared_lock lock(meta_mutex_);
  return {metas_.begin(), metas_.end()};
}

Result<void> SampleStore::Retain(int64_t oldest_ms) {
  FAULTLINE_TRY(engine_.DropRange(Family::kChunks, DayKey(INT32_MIN), DayKey(DayOf(oldest_ms))));
  const int64_t boundary = DayOf(oldest_ms) * kMsPerDay;
  std::vector<uint32_t> gone;
  rocksdb::WriteBatch batch;
  for (uint32_t id = 1; id <= last_id_; ++id) {
    const auto range = heads_.RangeOf(id);
    if (!range) continue;
    if (range->max_ms >= boundary) {
      heads_.RaiseOldest(id, boundary);
      continue;
    }
    gone.push_back(id);
    batch.Delete(engine_[Family::kHeads], IdKey('h', id));
  }
  if (gone.empty()) return {};
  FAULTLINE_TRY(engine_.Write(batch, false));
  for (const uint32_t id : gone) heads_.Drop(id);
  return {};
}

}  // namespace faultline::store
