// The numbers of a long chunk. Bits that are noise are stored as they are; what stands above them,
// in planes of bytes with an entropy code each. How many bits are noise is found by counting.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "aggregator/store/bytes.h"

namespace faultline::store {

// Bits that PutLongColumn would take, about, and how many of each number it would store as they
// are. At most 2^14 numbers.
struct LongColumnPlan {
  double bits = 0;
  uint32_t raw_bits = 0;
};
LongColumnPlan PlanLongColumn(std::span<const uint64_t> numbers);
// A quick measure of which of several columns will be smallest.
uint64_t SumOfWidths(std::span<const uint64_t> numbers);

void PutLongColumn(std::span<const uint64_t> numbers, uint32_t raw_bits, std::string& out);
// False for bytes that PutLongColumn never writes. The reader knows how many numbers there are.
bool ReadLongColumn(ByteReader& in, std::span<uint64_t> numbers);

}  // namespace faultline::store
