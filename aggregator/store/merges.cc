// Merging small chunks: heads seal 120 samples at a time, because memory is dear; sixteen such
// chunks of a series then become one on disk, in the write of some later commit, and what a day has
// becomes longer ones when it is over. Readers see either. A merge needs no memory of its own: it
// looks at what small chunks there are, so one that a crash took is made up for by the next.
#include <algorithm>

#include "aggregator/store/chunk.h"
#include "aggregator/store/keys.h"
#include "aggregator/store/samples.h"

namespace faultline::store {
namespace {

constexpr size_t kMergesPerCommit = 64;
constexpr size_t kMaxChunksLookedAt = 4 * kChunksPerMerge;
constexpr size_t kMergedSamples = kChunksPerMerge * kSamplesPerChunk;
constexpr size_t kMergedSamplesOfDay = 3 * kMergedSamples;  // a whole day at 15 s

struct Part {
  std::string key;
  std::string bytes;
  int64_t first_ms = 0;
};

// Chunks of less than `samples` at the end of the day's, oldest first.
std::vector<Part> SmallChunks(const Engine& engine, uint32_t series, int64_t day, size_t samples) {
  std::string prefix = ChunkPrefix(day, series);
  prefix.push_back(0);
  Engine::Range range(engine, Family::kChunks, prefix, PrefixEnd(prefix));
  std::vector<Part> parts;
  for (range->SeekToLast(); range.Valid() && parts.size() < kMaxChunksLookedAt; range->Prev()) {
    if (ChunkCount(range.value()) >= samples) break;
    const int64_t first_ms = day * kMsPerDay + ByteReader(range.key().substr(prefix.size())).Be32();
    parts.push_back({std::string(range.key()), std::string(range.value()), first_ms});
  }
  std::reverse(parts.begin(), parts.end());
  return parts;
}

}  // namespace

void SampleStore::StageMerge(const Merge& merge, rocksdb::WriteBatch& batch) const {
  const size_t wanted = merge.day_ended ? kMergedSamplesOfDay : kMergedSamples;
  const std::vector<Part> parts = SmallChunks(engine_, merge.series, merge.day, wanted);
  std::vector<Sample> samples;
  std::vector<Sample> chunk;
  size_t begin = 0;
  const auto write = [&](size_t end) {
    if (end - begin > 1) {
      std::string merged;
      EncodeChunk(samples, merged);
      batch.Put(engine_[Family::kChunks], parts[begin].key, merged);
      for (size_t i = begin + 1; i < end; ++i) batch.Delete(engine_[Family::kChunks], parts[i].key);
    }
    samples.clear();
    begin = end;
  };
  for (size_t i = 0; i < parts.size(); ++i) {
    chunk.clear();
    const bool sound = DecodeChunk(parts[i].bytes, parts[i].first_ms, chunk);
    // A damaged chunk stays where it is, to be reported by who reads it.
    if (!sound || (!samples.empty() && chunk.front().time_ms <= samples.back().time_ms)) write(i);
    if (!sound) {
      begin = i + 1;
      continue;
    }
    samples.insert(samples.end(), chunk.begin(), chunk.end());
    if (samples.size() >= wanted) write(i + 1);
  }
  write(parts.size());
}

void SampleStore::StageMerges(rocksdb::WriteBatch& batch) {
  // Chunks sealed by the last commit are written by this one, so its merges wait for the next.
  while (staged_merges_ < std::min(merges_.size(), kMergesPerCommit) &&
         merges_[staged_merges_].commit < commit_) {
    StageMerge(merges_[staged_merges_], batch);
    ++staged_merges_;
  }
}

}  // namespace faultline::store
