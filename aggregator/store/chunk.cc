#include "aggregator/store/chunk.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <numeric>
#include <optional>

#include "aggregator/store/bytes.h"
#include "aggregator/store/long_column.h"
#include "common/assert.h"

namespace faultline::store {
namespace {

enum TimeKind : uint8_t { kRegular = 0, kChanges = 1 };
enum ValueKind : uint8_t {
  kConstant = 0,
  kConstantInteger = 1,
  kDelta = 2,
  kDeltaOfDelta = 3,
  kXorPlanes = 4,
  kLongDecimals = 7  // 5 and 6 were earlier forms of it
};
// Columns of long chunks get codes of their own: one code for noisy low bytes and quiet high bytes
// together, as a block's compressor makes it, suits neither. Short ones are better off together.
constexpr size_t kLeastSamplesToPack = 480;
constexpr uint8_t kHasGranule = 0x80;  // beside the scale: the differences are multiples of it

// How programs make seconds of microseconds and the like; each rounds differently in the last bit,
// and we give back the very bits. Value = mantissa / divisor / second_divisor * factor.
struct Scale {
  double divisor = 1;
  double second_divisor = 1;
  double factor = 1;
  double digits = 1;  // 10^decimals, to guess the mantissa
  double Value(int64_t mantissa) const {
    return static_cast<double>(mantissa) / divisor / second_divisor * factor;
  }
};
// The order is stored; new ones go to the end.
constexpr std::array<Scale, 17> kScales = {{
    {1, 1, 1, 1},
    {1e1, 1, 1, 1e1},
    {1e2, 1, 1, 1e2},
    {1e3, 1, 1, 1e3},
    {1e4, 1, 1, 1e4},
    {1e5, 1, 1, 1e5},
    {1e6, 1, 1, 1e6},
    {1e7, 1, 1, 1e7},
    {1e8, 1, 1, 1e8},
    {1e9, 1, 1, 1e9},
    {1e10, 1, 1, 1e10},
    {1e11, 1, 1, 1e11},
    {1e12, 1, 1, 1e12},
    {1, 1, 1e-3, 1e3},
    {1e3, 1e3, 1, 1e6},
    {1, 1, 1e-6, 1e6},
    {1, 1, 1e-9, 1e9},
}};
// Fewest digits first: they give the smallest differences.
constexpr std::array<uint32_t, kScales.size()> kTryOrder = {0,  1, 2, 3, 13, 4,  5,  6, 14,
                                                            15, 7, 8, 9, 16, 10, 11, 12};
constexpr int64_t kMaxMantissa = int64_t{1} << 53;
// Scales from here on are powers of two: doubles as arithmetic leaves them, near each other.
constexpr uint32_t kBinaryScales = 32;
constexpr uint32_t kMaxBinaryDigits = 63;

bool IsScale(uint32_t scale) {
  return scale < kScales.size() ||
         (scale >= kBinaryScales && scale <= kBinaryScales + kMaxBinaryDigits);
}
Scale ScaleOf(uint32_t scale) {
  if (scale < kScales.size()) return kScales[scale];
  const double power = std::ldexp(1.0, static_cast<int>(scale - kBinaryScales));
  return {power, 1, 1, power};
}

// The integer that this scale turns into exactly `value`.
std::optional<int64_t> Mantissa(double value, const Scale& scale) {
  const double scaled = value * scale.digits;
  if (!(std::abs(scaled) < static_cast<double>(kMaxMantissa))) return std::nullopt;
  const auto mantissa = static_cast<int64_t>(std::nearbyint(scaled));
  if (std::bit_cast<uint64_t>(scale.Value(mantissa)) != std::bit_cast<uint64_t>(value))
    return std::nullopt;
  return mantissa;
}

// Binary digits after the point.
uint32_t BinaryDigits(double value) {
  constexpr int kBias = 1075;  // of the exponent, with the 52 digits of the fraction
  const auto bits = std::bit_cast<uint64_t>(value);
  const auto exponent = static_cast<int>((bits >> 52) & 0x7ff);
  const uint64_t fraction = (bits & ((uint64_t{1} << 52) - 1)) | uint64_t{1} << 52;
  if (value == 0 || exponent == 0x7ff) return 0;
  return static_cast<uint32_t>(std::max(0, kBias - exponent - std::countr_zero(fraction)));
}

struct Decimals {
  uint32_t scale = 0;
  std::vector<int64_t> mantissas;    // one per sample; an exception repeats the one before
  std::vector<uint32_t> exceptions;  // positions of values that are no such decimals
};

// One pass; false when more values than allowed are no such decimals.
bool FillDecimals(std::span<const Sample> samples, Decimals& decimals) {
  decimals.mantissas.clear();
  decimals.exceptions.clear();
  const size_t max_exceptions = samples.size() / 16 + 1;
  const Scale scale = ScaleOf(decimals.scale);
  int64_t last = 0;
  for (size_t i = 0; i < samples.size(); ++i) {
    if (const auto mantissa = Mantissa(samples[i].value, scale)) {
      last = *mantissa;
    } else {
      decimals.exceptions.push_back(static_cast<uint32_t>(i));
      if (decimals.exceptions.size() > max_exceptions) return false;
    }
    decimals.mantissas.push_back(last);
  }
  return true;
}

// nullopt when too many values are full-precision doubles. A scale that fails does so
// after a few values.
std::optional<Decimals> ToDecimals(std::span<const Sample> samples) {
  Decimals decimals;
  decimals.mantissas.reserve(samples.size());
  for (const uint32_t scale : kTryOrder) {
    decimals.scale = scale;
    if (FillDecimals(samples, decimals)) return decimals;
  }
  uint32_t digits = 0;
  for (const Sample& sample : samples) digits = std::max(digits, BinaryDigits(sample.value));
  if (digits > kMaxBinaryDigits) return std::nullopt;
  decimals.scale = kBinaryScales + digits;
  if (FillDecimals(samples, decimals)) return decimals;
  return std::nullopt;
}

void PutXorPlanes(std::span<const Sample> samples, std::string& out) {
  const size_t start = out.size();
  const size_t count = samples.size();
  out.resize(start + count * 8);
  uint64_t last = 0;
  for (size_t i = 0; i < count; ++i) {
    const auto bits = std::bit_cast<uint64_t>(samples[i].value);
    const uint64_t changed = bits ^ last;
    last = bits;
    for (size_t plane = 0; plane < 8; ++plane) {
      out[start + plane * count + i] = static_cast<char>(changed >> (56 - 8 * plane));
    }
  }
}

// Differences, or differences of differences, of the mantissas after the first, zigzag.
std::vector<uint64_t> Differences(const std::vector<int64_t>& mantissas, bool twice) {
  std::vector<uint64_t> differences;
  differences.reserve(mantissas.size());
  int64_t last_delta = 0;
  for (size_t i = 1; i < mantissas.size(); ++i) {
    const int64_t delta = mantissas[i] - mantissas[i - 1];
    differences.push_back(ZigZag(twice ? delta - last_delta : delta));
    last_delta = delta;
  }
  return differences;
}

// What the column costs, about: small numbers are cheap in wide planes too, since zstd eats the
// zeros.
size_t Weigh(const std::vector<uint64_t>& differences) {
  size_t bytes = 0;
  for (const uint64_t difference : differences) bytes += (std::bit_width(difference) + 7) / 8;
  return bytes;
}

// Makes zigzag differences of `mantissas` smaller by what all share (pages, sectors), which is
// returned.
uint64_t DivideByGranule(std::vector<uint64_t>& differences) {
  uint64_t granule = 0;
  for (const uint64_t difference : differences) {
    const int64_t value = UnZigZag(difference);
    granule = std::gcd(granule,
                       value < 0 ? 0 - static_cast<uint64_t>(value) : static_cast<uint64_t>(value));
    if (granule == 1) return 1;
  }
  if (granule == 0 || granule > INT64_MAX) return 1;
  for (uint64_t& difference : differences)
    difference = ZigZag(UnZigZag(difference) / static_cast<int64_t>(granule));
  return granule;
}

void PutScale(std::span<const Sample> samples, const Decimals& decimals, uint64_t granule,
              std::string& out) {
  out.push_back(static_cast<char>(decimals.scale | (granule > 1 ? kHasGranule : 0)));
  if (granule > 1) PutVarint(out, granule);
  PutVarint(out, decimals.exceptions.size());
  uint32_t last_position = 0;
  for (const uint32_t position : decimals.exceptions) {
    PutVarint(out, position - last_position);
    PutFixed64(out, std::bit_cast<uint64_t>(samples[position].value));
    last_position = position;
  }
}

void PutDecimals(std::span<const Sample> samples, const Decimals& decimals,
                 std::vector<uint64_t>& differences, std::string& out) {
  PutScale(samples, decimals, DivideByGranule(differences), out);
  PutSigned(out, decimals.mantissas[0]);
  uint64_t all = 0;
  for (const uint64_t difference : differences) all |= difference;
  const int planes = (std::bit_width(all) + 7) / 8;
  out.push_back(static_cast<char>(planes));
  for (int plane = 0; plane < planes; ++plane) {
    for (const uint64_t difference : differences)
      out.push_back(static_cast<char>(difference >> (8 * plane)));
  }
}

// What the mantissas after the first are stored as: their distance from their median (order 0),
// the distance of their differences from those' median (1), or differences of differences (2). The
// bias is that median, or the difference before the first.
struct Residues {
  uint8_t order = 0;
  int64_t bias = 0;
  uint64_t granule = 1;
  std::vector<uint64_t> zigzag;
  uint64_t weight = 0;
};

Residues ResiduesOf(const std::vector<int64_t>& mantissas, uint8_t order) {
  Residues residues;
  residues.order = order;
  std::vector<int64_t> numbers(mantissas.begin() + 1, mantissas.end());
  for (size_t i = numbers.size(); order > 0 && i > 0; --i) numbers[i - 1] -= mantissas[i - 1];
  if (order == 2) {
    residues.bias = numbers[0];
    for (size_t i = numbers.size() - 1; i > 0; --i) numbers[i] -= numbers[i - 1];
    numbers[0] = 0;
  } else {
    std::vector<int64_t> sorted = numbers;
    const auto middle = sorted.begin() + static_cast<ptrdiff_t>(sorted.size() / 2);
    std::nth_element(sorted.begin(), middle, sorted.end());
    residues.bias = *middle;
    for (int64_t& number : numbers) number -= residues.bias;
  }
  residues.zigzag.reserve(numbers.size());
  for (const int64_t number : numbers) residues.zigzag.push_back(ZigZag(number));
  residues.granule = DivideByGranule(residues.zigzag);
  residues.weight = SumOfWidths(residues.zigzag);
  return residues;
}

Residues BestResidues(const std::vector<int64_t>& mantissas) {
  Residues best = ResiduesOf(mantissas, 1);
  for (const uint8_t order : {uint8_t{0}, uint8_t{2}}) {
    if (Residues other = ResiduesOf(mantissas, order); other.weight < best.weight)
      best = std::move(other);
  }
  return best;
}

void PutLongDecimals(std::span<const Sample> samples, const Decimals& decimals,
                     const Residues& residues, uint32_t raw_bits, std::string& out) {
  PutScale(samples, decimals, residues.granule, out);
  out.push_back(static_cast<char>(residues.order));
  PutSigned(out, residues.bias);
  PutSigned(out, decimals.mantissas[0]);
  PutLongColumn(residues.zigzag, raw_bits, out);
}

// Returns the kind and appends the column.
ValueKind PutValues(std::span<const Sample> samples, std::string& out) {
  const auto first = std::bit_cast<uint64_t>(samples[0].value);
  const bool constant = std::all_of(samples.begin(), samples.end(), [&](const Sample& sample) {
    return std::bit_cast<uint64_t>(sample.value) == first;
  });
  if (constant) {
    if (const auto integer = Mantissa(samples[0].value, kScales[0])) {
      PutSigned(out, *integer);
      return kConstantInteger;
    }
    PutFixed64(out, first);
    return kConstant;
  }
  if (const auto decimals = ToDecimals(samples)) {
    // Byte planes of full-precision doubles compress to about six bytes each.
    const size_t most =
        samples.size() * 6 - std::min(samples.size(), decimals->exceptions.size()) * 9;
    if (samples.size() >= kLeastSamplesToPack) {
      const Residues residues = BestResidues(decimals->mantissas);
      const LongColumnPlan plan = PlanLongColumn(residues.zigzag);
      if (plan.bits < 8.0 * static_cast<double>(most)) {
        PutLongDecimals(samples, *decimals, residues, plan.raw_bits, out);
        return kLongDecimals;
      }
    } else {
      auto once = Differences(decimals->mantissas, false);
      auto twice = Differences(decimals->mantissas, true);
      const bool use_twice = Weigh(twice) < Weigh(once);
      if (Weigh(use_twice ? twice : once) < most) {
        PutDecimals(samples, *decimals, use_twice ? twice : once, out);
        return use_twice ? kDeltaOfDelta : kDelta;
      }
    }
  }
  PutXorPlanes(samples, out);
  return kXorPlanes;
}

TimeKind PutTimes(std::span<const Sample> samples, std::string& out) {
  const int64_t interval = samples.size() > 1 ? samples[1].time_ms - samples[0].time_ms : 0;
  bool regular = true;
  for (size_t i = 2; i < samples.size() && regular; ++i) {
    regular = samples[i].time_ms - samples[i - 1].time_ms == interval;
  }
  PutVarint(out, static_cast<uint64_t>(interval));
  if (regular) return kRegular;
  int64_t last = interval;
  for (size_t i = 2; i < samples.size(); ++i) {
    const int64_t delta = samples[i].time_ms - samples[i - 1].time_ms;
    PutSigned(out, delta - last);
    last = delta;
  }
  return kChanges;
}

// So short that no chunk of them overflows.
constexpr int64_t kLongInterval = int64_t{1} << 40;

bool ReadTimes(uint8_t kind, int64_t first_ms, ByteReader& in, std::span<Sample> samples) {
  int64_t delta = static_cast<int64_t>(in.Varint());
  int64_t time_ms = first_ms;
  samples[0].time_ms = time_ms;
  if (kind == kRegular && delta > 0 && delta < kLongInterval) {
    for (size_t i = 1; i < samples.size(); ++i)
      samples[i].time_ms = first_ms + static_cast<int64_t>(i) * delta;
    return !in.failed();
  }
  for (size_t i = 1; i < samples.size(); ++i) {
    if (kind == kChanges && i > 1) delta = WrapAdd(delta, in.Signed());
    time_ms = WrapAdd(time_ms, delta);
    if (time_ms <= samples[i - 1].time_ms) return false;
    samples[i].time_ms = time_ms;
  }
  return kind <= kChanges && !in.failed();
}

// kPlanes 0: any number of them.
template <size_t kPlanes>
void FillMantissas(std::string_view bytes, size_t planes, bool twice, uint64_t granule,
                   int64_t mantissa, std::span<int64_t> mantissas) {
  const auto* column = reinterpret_cast<const uint8_t*>(bytes.data());
  const size_t count = mantissas.size() - 1;
  int64_t delta = 0;
  mantissas[0] = mantissa;
  for (size_t i = 0; i < count; ++i) {
    uint64_t difference = 0;
    if constexpr (kPlanes == 1) {
      difference = column[i];
    } else if constexpr (kPlanes == 2) {
      difference = column[i] | static_cast<uint64_t>(column[count + i]) << 8;
    } else {
      for (size_t plane = 0; plane < planes; ++plane)
        difference |= static_cast<uint64_t>(column[plane * count + i]) << (8 * plane);
    }
    const auto change = static_cast<int64_t>(static_cast<uint64_t>(UnZigZag(difference)) * granule);
    delta = twice ? WrapAdd(delta, change) : change;
    mantissa = WrapAdd(mantissa, delta);
    mantissas[i + 1] = mantissa;
  }
}

// Divisions by one change nothing but take their time.
void FillValues(const Scale& scale, std::span<const int64_t> mantissas, std::span<Sample> samples) {
  const bool one_divisor = scale.second_divisor == 1 && scale.factor == 1;
  for (size_t i = 0; i < samples.size(); ++i) {
    const auto mantissa = static_cast<double>(mantissas[i]);
    if (one_divisor) {
      samples[i].value = scale.divisor == 1 ? mantissa : mantissa / scale.divisor;
    } else {
      samples[i].value = scale.Value(mantissas[i]);
    }
  }
}

// Scale, granule and exceptions, which both forms of decimals begin with.
struct ScaleHeader {
  Scale scale;
  uint64_t granule = 1;
  uint64_t exceptions = 0;
  ByteReader patches;
};

bool ReadScale(ByteReader& in, size_t samples, ScaleHeader& header) {
  const uint8_t byte = in.Byte();
  header.granule = (byte & kHasGranule) != 0 ? in.Varint() : 1;
  const uint8_t number = byte & static_cast<uint8_t>(~kHasGranule);
  if (!IsScale(number)) return false;
  header.scale = ScaleOf(number);
  header.exceptions = in.Count(9);
  if (header.exceptions > samples) return false;
  header.patches = in;
  for (uint64_t i = 0; i < header.exceptions; ++i) {
    (void)in.Varint();
    (void)in.Fixed64();
  }
  return !in.failed();
}

bool PatchExceptions(ScaleHeader& header, std::span<Sample> samples) {
  uint64_t position = 0;
  for (uint64_t i = 0; i < header.exceptions; ++i) {
    position += header.patches.Varint();
    if (position >= samples.size()) return false;
    samples[position].value = std::bit_cast<double>(header.patches.Fixed64());
  }
  return !header.patches.failed();
}

bool ReadDecimals(bool twice, ByteReader& in, std::span<Sample> samples) {
  ScaleHeader header{{}, 1, 0, in};
  if (!ReadScale(in, samples.size(), header)) return false;
  const int64_t mantissa = in.Signed();
  const uint8_t planes = in.Byte();
  if (in.failed() || planes > 8) return false;
  const std::string_view bytes = in.Bytes(planes * (samples.size() - 1));
  if (in.failed()) return false;
  static thread_local std::vector<int64_t> mantissas;
  mantissas.resize(samples.size());
  switch (planes) {  // nearly all have one or two
    case 1:
      FillMantissas<1>(bytes, planes, twice, header.granule, mantissa, mantissas);
      break;
    case 2:
      FillMantissas<2>(bytes, planes, twice, header.granule, mantissa, mantissas);
      break;
    default:
      FillMantissas<0>(bytes, planes, twice, header.granule, mantissa, mantissas);
  }
  FillValues(header.scale, mantissas, samples);
  return PatchExceptions(header, samples);
}

bool ReadLongDecimals(ByteReader& in, std::span<Sample> samples) {
  ScaleHeader header{{}, 1, 0, in};
  if (!ReadScale(in, samples.size(), header)) return false;
  const uint8_t order = in.Byte();
  const int64_t bias = in.Signed();
  const int64_t first = in.Signed();
  static thread_local std::vector<uint64_t> zigzag;
  static thread_local std::vector<int64_t> mantissas;
  zigzag.resize(samples.size() - 1);
  mantissas.resize(samples.size());
  if (in.failed() || order > 2 || !ReadLongColumn(in, zigzag)) return false;
  mantissas[0] = first;
  int64_t difference = bias;
  for (size_t i = 0; i < zigzag.size(); ++i) {
    const auto residue =
        static_cast<int64_t>(static_cast<uint64_t>(UnZigZag(zigzag[i])) * header.granule);
    if (order == 0) {
      mantissas[i + 1] = WrapAdd(bias, residue);
      continue;
    }
    difference = WrapAdd(order == 2 ? difference : bias, residue);
    mantissas[i + 1] = WrapAdd(mantissas[i], difference);
  }
  FillValues(header.scale, mantissas, samples);
  return PatchExceptions(header, samples);
}

bool ReadXorPlanes(ByteReader& in, std::span<Sample> samples) {
  const size_t count = samples.size();
  const std::string_view planes = in.Bytes(count * 8);
  if (in.failed()) return false;
  uint64_t last = 0;
  for (size_t i = 0; i < count; ++i) {
    uint64_t changed = 0;
    for (size_t plane = 0; plane < 8; ++plane) {
      changed = changed << 8 | static_cast<uint8_t>(planes[plane * count + i]);
    }
    last ^= changed;
    samples[i].value = std::bit_cast<double>(last);
  }
  return true;
}

bool ReadValues(uint8_t kind, ByteReader& in, std::span<Sample> samples) {
  switch (kind) {
    case kConstant:
    case kConstantInteger: {
      const double value = kind == kConstant ? std::bit_cast<double>(in.Fixed64())
                                             : static_cast<double>(in.Signed());
      for (Sample& sample : samples) sample.value = value;
      return !in.failed();
    }
    case kDelta:
    case kDeltaOfDelta:
      return ReadDecimals(kind == kDeltaOfDelta, in, samples);
    case kLongDecimals:
      return ReadLongDecimals(in, samples);
    case kXorPlanes:
      return ReadXorPlanes(in, samples);
    default:
      return false;
  }
}

}  // namespace

void EncodeChunk(std::span<const Sample> samples, std::string& out) {
  FAULTLINE_ASSERT(!samples.empty() && samples.size() <= kMaxSamplesPerChunk, "chunk size");
  const size_t start = out.size();
  out.push_back(0);
  PutVarint(out, samples.size());
  const TimeKind times = PutTimes(samples, out);
  const ValueKind values = PutValues(samples, out);
  out[start] = static_cast<char>(times << 4 | values);
}

size_t ChunkCount(std::string_view bytes) {
  ByteReader in(bytes);
  (void)in.Byte();
  const uint64_t count = in.Varint();
  return in.failed() || count > kMaxSamplesPerChunk ? 0 : count;
}

bool DecodeChunk(std::string_view bytes, int64_t first_ms, std::vector<Sample>& out) {
  ByteReader in(bytes);
  const uint8_t kinds = in.Byte();
  const uint64_t count = in.Varint();
  if (in.failed() || count == 0 || count > kMaxSamplesPerChunk) return false;
  const size_t start = out.size();
  out.resize(start + count);
  const std::span<Sample> samples(out.data() + start, count);
  if (ReadTimes(kinds >> 4, first_ms, in, samples) && ReadValues(kinds & 15, in, samples) &&
      in.empty()) {
    return true;
  }
  out.resize(start);
  return false;
}

}  // namespace faultline::store
