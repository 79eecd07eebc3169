// A sealed chunk: times and values of one series as two columns of small integers (FORMAT.md).
// Doubles that are short decimals, as nearly all that nodes report, become integers and then
// differences; the rest is stored as exclusive-ors, one byte plane after another. Columns are
// byte-aligned on purpose: RocksDB's zstd then takes the entropy out, across neighbouring series.
// Exact for every bit pattern.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "aggregator/store/store.h"

namespace faultline::store {

constexpr size_t kMaxSamplesPerChunk = 16'384;

// 1 … kMaxSamplesPerChunk samples in strictly rising time; the first one's time is kept by the
// caller (in the key).
void EncodeChunk(std::span<const Sample> samples, std::string& out);
// How many samples it holds, as it says; 0 for bytes that EncodeChunk never writes.
size_t ChunkCount(std::string_view bytes);
// Appends to `out`; false (and `out` as before) for bytes that EncodeChunk never writes.
bool DecodeChunk(std::string_view bytes, int64_t first_ms, std::vector<Sample>& out);

}  // namespace faultline::store
