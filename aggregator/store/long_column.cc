#include "aggregator/store/long_column.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <vector>

#include "aggregator/store/compression.h"

namespace faultline::store {
namespace {

constexpr uint32_t kMaxRawBits = 32;
constexpr uint32_t kMaxRawBitsTried = 24;
// The best number of raw bits lies so far below the numbers' usual width, as noise goes.
constexpr uint32_t kLeastBelow = 1;
constexpr uint32_t kMostBelow = 5;
constexpr size_t kMaxNumbers = 1 << 14;
// What a plane costs beside its bytes' entropy: headers, and the lengths of the codes.
constexpr double kBitsPerPlane = 40;
constexpr double kBitsPerCode = 3;

// n * log2(n), which entropies are sums of.
double NLogN(uint32_t n) {
  static const std::vector<float> table = [] {
    std::vector<float> values(kMaxNumbers + 1, 0.0F);
    for (size_t i = 2; i < values.size(); ++i)
      values[i] = static_cast<float>(i) * std::log2(static_cast<float>(i));
    return values;
  }();
  return static_cast<double>(table[n]);
}

uint32_t WidthOf(std::span<const uint64_t> numbers) {
  uint64_t all = 0;
  for (const uint64_t number : numbers) all |= number;
  return static_cast<uint32_t>(std::bit_width(all));
}

double BitsOfPlanes(std::span<const uint64_t> numbers, uint32_t raw_bits, uint32_t width) {
  double bits = 0;
  std::array<uint32_t, 256> counts;
  for (uint32_t shift = raw_bits; shift < width; shift += 8) {
    counts.fill(0);
    for (const uint64_t number : numbers) ++counts[(number >> shift) & 0xff];
    double entropy = NLogN(static_cast<uint32_t>(numbers.size()));
    uint32_t codes = 0;
    for (const uint32_t count : counts) {
      if (count == 0) continue;
      ++codes;
      entropy -= NLogN(count);
    }
    const double coded = codes == 1 ? 0 : entropy + kBitsPerCode * codes;
    bits += kBitsPerPlane + std::min(coded, 8.0 * static_cast<double>(numbers.size()));
  }
  return bits;
}

void PutRawBits(std::span<const uint64_t> numbers, uint32_t raw_bits, std::string& out) {
  const uint64_t mask = (uint64_t{1} << raw_bits) - 1;
  uint64_t word = 0;
  uint32_t used = 0;
  for (const uint64_t number : numbers) {
    word |= (number & mask) << used;
    used += raw_bits;
    for (; used >= 8; used -= 8, word >>= 8) out.push_back(static_cast<char>(word));
  }
  if (used > 0) out.push_back(static_cast<char>(word));
}

}  // namespace

uint64_t SumOfWidths(std::span<const uint64_t> numbers) {
  uint64_t sum = 0;
  for (const uint64_t number : numbers) sum += static_cast<uint64_t>(std::bit_width(number));
  return sum;
}

LongColumnPlan PlanLongColumn(std::span<const uint64_t> numbers) {
  const uint32_t width = WidthOf(numbers);
  LongColumnPlan best{BitsOfPlanes(numbers, 0, width), 0};
  const uint32_t usual =
      static_cast<uint32_t>(SumOfWidths(numbers) / std::max<size_t>(1, numbers.size()));
  const uint32_t last = std::min({usual - std::min(usual, kLeastBelow), width, kMaxRawBitsTried});
  for (uint32_t raw_bits = std::max(1u, usual - std::min(usual, kMostBelow)); raw_bits <= last;
       ++raw_bits) {
    const double bits =
        raw_bits * static_cast<double>(numbers.size()) + BitsOfPlanes(numbers, raw_bits, width);
    if (bits < best.bits) best = {bits, raw_bits};
  }
  return best;
}

void PutLongColumn(std::span<const uint64_t> numbers, uint32_t raw_bits, std::string& out) {
  const uint32_t width = WidthOf(numbers);
  const uint32_t planes = width <= raw_bits ? 0 : (width - raw_bits + 7) / 8;
  out.push_back(static_cast<char>(raw_bits));
  out.push_back(static_cast<char>(planes));
  std::string column(numbers.size(), '\0');
  for (uint32_t plane = 0; plane < planes; ++plane) {
    for (size_t i = 0; i < numbers.size(); ++i)
      column[i] = static_cast<char>(numbers[i] >> (raw_bits + 8 * plane));
    PackColumn(column, out);
  }
  if (raw_bits > 0) PutRawBits(numbers, raw_bits, out);
}

bool ReadLongColumn(ByteReader& in, std::span<uint64_t> numbers) {
  const uint32_t raw_bits = in.Byte();
  const uint32_t planes = in.Byte();
  if (in.failed() || raw_bits > kMaxRawBits || planes > 8) return false;
  static thread_local std::string bytes;
  bytes.resize(numbers.size());
  std::fill(numbers.begin(), numbers.end(), 0);
  for (uint32_t plane = 0; plane < planes; ++plane) {
    if (!UnpackColumn(in, bytes)) return false;
    const uint32_t shift = 8 * plane;
    for (size_t i = 0; i < numbers.size(); ++i)
      numbers[i] |= static_cast<uint64_t>(static_cast<uint8_t>(bytes[i])) << shift;
  }
  if (raw_bits == 0) return true;
  const std::string_view raw = in.Bytes((numbers.size() * raw_bits + 7) / 8);
  if (in.failed()) return false;
  bytes.assign(raw);
  bytes.append(sizeof(uint64_t), '\0');  // whole words are read
  const uint64_t mask = (uint64_t{1} << raw_bits) - 1;
  for (size_t i = 0; i < numbers.size(); ++i) {
    uint64_t word;
    std::memcpy(&word, bytes.data() + i * raw_bits / 8, sizeof(word));
    numbers[i] = numbers[i] << raw_bits | ((word >> (i * raw_bits % 8)) & mask);
  }
  return true;
}

}  // namespace faultline::store
