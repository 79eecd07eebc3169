// The newest samples of one series, compressed while they arrive: each sample costs the change of
// its interval (one bit when regular) and the exclusive-or with the value before (one bit when
// equal). 64 bytes plus the words; memory set to zero is an empty head, so a million of them cost
// one allocation. Not thread-safe; HeadTable locks.
#pragma once

#include <cstdint>
#include <vector>

#include "aggregator/store/store.h"

namespace faultline::store {

constexpr uint32_t kSamplesPerChunk = 120;
// So many sealed chunks of a series become one: the heads stay small, the disk gets long columns.
constexpr uint32_t kChunksPerMerge = 16;
constexpr int64_t kMsPerDay = 86'400'000;
// Days fit an int32 and sums of two times do not overflow.
constexpr int64_t kMaxTimeMs = int64_t{1} << 56;

inline int64_t DayOf(int64_t time_ms) {
  return time_ms / kMsPerDay - (time_ms % kMsPerDay < 0 ? 1 : 0);
}

struct Head {
  uint64_t* words = nullptr;  // owned, malloc
  std::vector<Sample>* late =
      nullptr;           // owned, in order of time: samples that came after newer ones
  int64_t min_ms = 0;    // oldest sample stored; valid when seen
  int64_t first_ms = 0;  // of this chunk; valid when count > 0
  int64_t last_ms = 0;   // newest sample stored; valid when seen
  uint64_t last_bits = 0;
  int32_t last_delta_ms = 0;
  uint16_t bit_count = 0;
  uint8_t word_capacity = 0;
  uint8_t count = 0;
  uint8_t leading = 0;      // zero bits before and
  uint8_t significant = 0;  // width of the window that the last full exclusive-or used; 0: none yet
  bool seen = false;
  bool has_late = false;     // a chunk of late samples may be on disk
  bool dirty = false;        // changed since its snapshot
  uint8_t small_chunks = 0;  // sealed since some were merged; not kept over a restart
};
static_assert(sizeof(Head) <= 72);

// True when `time_ms`, newer than all before, may not go into the same chunk.
bool MustSeal(const Head& head, int64_t time_ms);
// `time_ms` is newer than last_ms and MustSeal is false.
void AppendToHead(Head& head, int64_t time_ms, double value);
// Appends the samples to `out`; false when the bits do not hold `count` samples.
bool DecodeHead(const Head& head, std::vector<Sample>& out);
// Empties the chunk; range, last sample and late samples stay.
void ClearChunk(Head& head);
// Frees everything.
void ResetHead(Head& head);

// How a snapshot holds the samples: as the head does, which costs least while samples come, or as a
// chunk does, which is smallest.
enum class HeadForm { kBits, kChunk };
// The head as stored in the column family `heads`, and back. False (and an empty head) for bytes
// that no head has.
void EncodeHead(const Head& head, HeadForm form, std::string& out);
bool RestoreHead(std::string_view bytes, Head& head);

}  // namespace faultline::store
