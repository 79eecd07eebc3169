// The reading half of SampleStore: which series, and their samples from disk, from chunks on their
// way there, and from the head, as one rising sequence in which the first sample stored at a time
// wins.
#include <algorithm>

#include "aggregator/store/chunk.h"
#include "aggregator/store/keys.h"
#include "aggregator/store/samples.h"
#include "common/assert.h"
#include "common/log.h"
#include "common/text.h"

namespace faultline::store {
namespace {

constexpr int64_t kDamageStepMs = 60'000;

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
  std::vector<Sample> samples;
  while (true) {
    for (; range.Valid() && range.key().starts_with(prefix); range->Next()) {
      const int64_t first_ms = day_start + ByteReader(range.key().substr(prefix.size())).Be32();
      if (first_ms > end_ms) return;
      at_ms = std::max(at_ms, first_ms + 1);
      samples.clear();
      if (!DecodeChunk(range.value(), first_ms, samples)) {
        ReportDamage(series, first_ms, "does not decode");
      } else if (late) {
        out.insert(out.end(), samples.begin(), samples.end());
      } else {
        AppendRising(samples, out);
      }
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

void SampleStore::ReadChunks(uint32_t series, bool late, int64_t begin_ms, int64_t end_ms,
                             std::vector<Sample>& out) const {
  Engine::Range range(engine_, Family::kChunks, ChunkPrefix(DayOf(begin_ms), series),
                      PrefixEnd(ChunkPrefix(DayOf(end_ms), series)));
  for (int64_t day = DayOf(begin_ms); day <= DayOf(end_ms); ++day) {
    ReadDay(range, series, late, day, begin_ms, end_ms, out);
  }
}

Result<std::vector<Sample>> SampleStore::Fetch(SeriesId id, int64_t begin_ms,
                                               int64_t end_ms) const {
  if (id == 0 || id > last_id_) return Fail(ErrorCode::kNotFound, "store: no series {}", id);
  const auto series = static_cast<uint32_t>(id);
  std::vector<Sample> samples;
  HeadTable::View view;
  if (!heads_.Read(series, view)) return samples;
  begin_ms = std::max(begin_ms, view.range.min_ms);
  end_ms = std::min(end_ms, view.range.max_ms);
  if (begin_ms > end_ms) return samples;
  const bool head_covers = !view.samples.empty() && view.samples.front().time_ms <= begin_ms;
  if (!head_covers) ReadChunks(series, false, begin_ms, end_ms, samples);
  std::vector<Sample> late;
  if (view.range.has_late) ReadChunks(series, true, begin_ms, end_ms, late);
  std::vector<Sample> chunk;
  for (const auto& sealed : view.sealed) {
    chunk.clear();
    FAULTLINE_ASSERT(DecodeChunk(sealed->bytes, sealed->first_ms, chunk), "own chunk decodes");
    if (sealed->late) {
      late.insert(late.end(), chunk.begin(), chunk.end());
    } else {
      AppendRising(chunk, samples);
    }
  }
  AppendRising(view.samples, samples);
  late.insert(late.end(), view.late.begin(), view.late.end());
  MergeLate(late, samples);
  Clip(begin_ms, end_ms, samples);
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
