// The heads of all series, by id. One writer (the commit thread, or the opening thread at replay);
// any number of readers. A head that is full becomes a sealed chunk, which readers still find here
// until the store has written it and says Forget. Readers look here first and at the disk after, so
// that a chunk on its way is seen at least once.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "aggregator/store/head_chunk.h"

namespace faultline::store {

struct SealedChunk {
  uint32_t series = 0;
  bool late = false;
  uint64_t record = 0;  // the durable log's record that filled it
  int64_t first_ms = 0;
  std::string bytes;
};
using SealedChunks = std::vector<std::shared_ptr<const SealedChunk>>;

enum class Taken { kStored, kLate, kDuplicate, kConflict, kTooOld };

class HeadTable {
 public:
  explicit HeadTable(int64_t out_of_order_ms);
  ~HeadTable();
  HeadTable(const HeadTable&) = delete;
  HeadTable& operator=(const HeadTable&) = delete;

  // Writer only. Deterministic: the same calls on the same heads seal the same chunks, which is
  // what replay rests on.
  Taken Apply(uint32_t series, int64_t time_ms, double value, uint64_t record,
              SealedChunks& sealed);
  // The same for many rows, in order; neighbours share a lock and memory is fetched ahead.
  struct Outcomes {
    uint64_t appended = 0;
    uint64_t rejected = 0;  // conflicts, and what is too old
  };
  // Series and days that have chunks to merge, since the last call. Writer only.
  struct MergeDue {
    uint32_t series = 0;
    int64_t day = 0;
    bool day_ended = false;
  };
  std::vector<MergeDue> TakeMergesDue() { return std::exchange(merges_due_, {}); }
  Outcomes ApplyAll(std::span<const AppendBatch::SampleRow> rows, uint64_t record,
                    SealedChunks& sealed);
  // Readers no longer find these chunks here.
  void Forget(const SealedChunks& chunks);
  // True, and the snapshot appended, if the head changed since the last MarkClean.
  bool SnapshotIfDirty(uint32_t series, HeadForm form, std::string& out);
  void MarkClean(uint32_t series);
  bool Restore(uint32_t series, std::string_view snapshot);
  void Drop(uint32_t series);
  // No sample is older than this any more.
  void RaiseOldest(uint32_t series, int64_t time_ms);

  struct Range {
    int64_t min_ms = 0;
    int64_t max_ms = 0;
    bool has_late = false;
  };
  // Where the series' samples lie; nullopt if it never had one.
  std::optional<Range> RangeOf(uint32_t series) const;
  struct View {
    std::vector<Sample> samples;  // of the head, in order
    std::vector<Sample> late;     // of the head, in order
    SealedChunks sealed;          // not on disk yet, perhaps
    Range range;
  };
  // False if the series never had a sample.
  bool Read(uint32_t series, View& view) const;

 private:
  static constexpr uint32_t kHeadsPerBlock = 1 << 14;
  static constexpr size_t kBlocks = 1 << 18;
  static constexpr size_t kStripes = 256;
  static constexpr uint32_t kSeriesPerStripe = 64;  // neighbours, which come in one batch
  struct Stripe {
    mutable std::mutex mutex;
    std::unordered_map<uint32_t, SealedChunks> sealed;
  };
  Head* Find(uint32_t series) const;
  Head& FindOrMake(uint32_t series);
  Stripe& StripeOf(uint32_t series) const { return stripes_[series / kSeriesPerStripe % kStripes]; }
  Taken ApplyLocked(Head& head, uint32_t series, int64_t time_ms, double value, uint64_t record,
                    SealedChunks& sealed);
  Taken ApplyLate(Head& head, uint32_t series, int64_t time_ms, double value, uint64_t record,
                  SealedChunks& sealed);
  void Seal(Head& head, uint32_t series, uint64_t record, bool day_ends, SealedChunks& sealed);
  void SealLate(Head& head, uint32_t series, uint64_t record, SealedChunks& sealed);
  void Publish(SealedChunk&& chunk, SealedChunks& sealed);

  const int64_t out_of_order_ms_;
  std::vector<MergeDue> merges_due_;
  std::unique_ptr<std::atomic<Head*>[]> blocks_;
  mutable std::array<Stripe, kStripes> stripes_;
};

}  // namespace faultline::store
