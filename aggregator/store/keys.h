// Keys of all column families; FORMAT.md says what lies under them. Big-endian numbers, so that
// byte order is the order of id and of time, and a day of chunks, blocks or records is one range.
#pragma once

#include <string>
#include <string_view>

#include "aggregator/store/bytes.h"
#include "aggregator/store/head_chunk.h"

namespace faultline::store {

// kMeta: one letter, then what it is about.
constexpr char kSeriesKey = 'd';
constexpr char kMetricKey = 'n';
constexpr char kStreamKey = 't';
constexpr char kWatermarkKey = 'w';
constexpr char kReferencesKey = 'r';
constexpr char kFileKey = 'f';
constexpr char kStreamRangeKey = 'u';
constexpr char kDocumentKey = 'o';
constexpr char kVersionKey = 'v';
constexpr char kProgressKey = 'p';
// kJournal
constexpr char kSampleRecordKey = 'S';
constexpr char kTailKey = 'T';
// kLogs
constexpr char kLogBlockKey = 'B';
constexpr char kLogIndexKey = 'I';
// kRecords
constexpr char kEventKey = 'E';
constexpr char kFaultKey = 'F';
constexpr char kSpanKey = 'S';
constexpr char kTraceKey = 'X';
constexpr char kCheckKey = 'C';
constexpr char kCheckHistoryKey = 'H';
constexpr char kServiceSpanKey = 'Y';
constexpr char kOperationKey = 'Z';

inline std::string IdKey(char kind, uint32_t id) {
  std::string key(1, kind);
  PutBe32(key, id);
  return key;
}
inline std::string SequenceKey(char kind, uint64_t sequence) {
  std::string key(1, kind);
  PutBe64(key, sequence);
  return key;
}
inline std::string TextKey(char kind, std::string_view text) {
  std::string key(1, kind);
  key += text;
  return key;
}

inline std::string DayKey(int64_t day) {
  std::string key;
  PutBe32(key, static_cast<uint32_t>(day) ^ (1u << 31));
  return key;
}

// Chunks of one series and day lie together, those of samples in order before those that came late.
inline std::string ChunkPrefix(int64_t day, uint32_t series) {
  std::string key = DayKey(day);
  PutBe32(key, series);
  return key;
}
inline std::string ChunkKey(uint32_t series, bool late, int64_t first_ms, uint64_t record) {
  const int64_t day = DayOf(first_ms);
  std::string key = ChunkPrefix(day, series);
  key.push_back(late ? 1 : 0);
  PutBe32(key, static_cast<uint32_t>(first_ms - day * kMsPerDay));
  if (late) PutBe64(key, record);
  return key;
}

}  // namespace faultline::store
