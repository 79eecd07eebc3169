#include "aggregator/store/head_chunk.h"

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <limits>

#include "aggregator/store/bits.h"
#include "aggregator/store/bytes.h"
#include "aggregator/store/chunk.h"
#include "common/assert.h"

namespace faultline::store {
namespace {

constexpr uint32_t kMaxBitsPerSample = 36 + 2 + 5 + 6 + 64;
static_assert(kMaxBitsPerSample * kSamplesPerChunk <= std::numeric_limits<uint16_t>::max());

void Reserve(Head& head) {
  const uint32_t needed = (head.bit_count + kMaxBitsPerSample + 63) / 64;
  if (needed <= head.word_capacity) return;
  // Room for the worst next sample, then growth by half: most series never need more than a few
  // words.
  const uint32_t capacity =
      std::max(needed, std::min(240u, head.word_capacity + head.word_capacity / 2u));
  auto* words = static_cast<uint64_t*>(std::realloc(head.words, capacity * sizeof(uint64_t)));
  FAULTLINE_ASSERT(words != nullptr, "out of memory");
  std::memset(words + head.word_capacity, 0, (capacity - head.word_capacity) * sizeof(uint64_t));
  head.words = words;
  head.word_capacity = static_cast<uint8_t>(capacity);
}

uint64_t Signed(int64_t value, uint32_t width) {
  return static_cast<uint64_t>(value) & ((1ull << width) - 1);
}
int64_t SignExtend(uint64_t value, uint32_t width) {
  return static_cast<int64_t>(value << (64 - width)) >> (64 - width);
}
bool Fits(int64_t value, uint32_t width) {
  return value >= -(int64_t{1} << (width - 1)) && value < (int64_t{1} << (width - 1));
}

// Classes of the change of interval: prefix 0, 10, 110, 1110, 1111 and so many bits.
constexpr uint32_t kWidths[] = {0, 7, 14, 20, 34};

void WriteTime(Head& head, uint32_t& bits, int64_t time_ms) {
  const int64_t delta = time_ms - head.last_ms;
  const int64_t change = delta - head.last_delta_ms;
  head.last_delta_ms = static_cast<int32_t>(delta);
  if (change == 0) {
    WriteBits(head.words, bits, 0, 1);
  } else if (Fits(change, kWidths[1])) {
    WriteBits(head.words, bits, 0b10, 2);
    WriteBits(head.words, bits, Signed(change, kWidths[1]), kWidths[1]);
  } else if (Fits(change, kWidths[2])) {
    WriteBits(head.words, bits, 0b110, 3);
    WriteBits(head.words, bits, Signed(change, kWidths[2]), kWidths[2]);
  } else if (Fits(change, kWidths[3])) {
    WriteBits(head.words, bits, 0b1110, 4);
    WriteBits(head.words, bits, Signed(change, kWidths[3]), kWidths[3]);
  } else {
    WriteBits(head.words, bits, 0b1111, 4);
    WriteBits(head.words, bits, Signed(change, kWidths[4]), kWidths[4]);
  }
}

void WriteValue(Head& head, uint32_t& bits, uint64_t value) {
  const uint64_t changed = value ^ head.last_bits;
  if (changed == 0) {
    WriteBits(head.words, bits, 0, 1);
    return;
  }
  const uint32_t leading = std::min(std::countl_zero(changed), 31);
  const uint32_t trailing = std::countr_zero(changed);
  const uint32_t window_trailing = 64u - head.leading - head.significant;
  const uint32_t significant = 64 - leading - trailing;
  // Keep the window while it fits and does not waste more than a new one costs.
  if (head.significant != 0 && leading >= head.leading && trailing >= window_trailing &&
      head.significant <= significant + 11) {
    WriteBits(head.words, bits, 0b10, 2);
    WriteBits(head.words, bits, changed >> window_trailing, head.significant);
    return;
  }
  WriteBits(head.words, bits, 0b11, 2);
  WriteBits(head.words, bits, leading, 5);
  WriteBits(head.words, bits, significant - 1, 6);
  WriteBits(head.words, bits, changed >> trailing, significant);
  head.leading = static_cast<uint8_t>(leading);
  head.significant = static_cast<uint8_t>(significant);
}

int64_t ReadChange(BitReader& bits) {
  uint32_t kind = 0;
  while (kind < 4 && bits.Read(1) == 1) ++kind;
  return kind == 0 ? 0 : SignExtend(bits.Read(kWidths[kind]), kWidths[kind]);
}

bool IsTime(int64_t time_ms) { return time_ms > -kMaxTimeMs && time_ms < kMaxTimeMs; }

// What appending and sealing rely on: rising times of one day that end where the head says, and no
// bits left over.
bool IsSound(const Head& head, const std::vector<Sample>& samples) {
  if (!IsTime(head.first_ms) || samples.back().time_ms != head.last_ms ||
      std::bit_cast<uint64_t>(samples.back().value) != head.last_bits) {
    return false;
  }
  for (size_t i = 1; i < samples.size(); ++i) {
    if (samples[i].time_ms <= samples[i - 1].time_ms) return false;
  }
  const int64_t delta =
      samples.size() < 2 ? 0 : samples.back().time_ms - samples[samples.size() - 2].time_ms;
  return DayOf(head.last_ms) == DayOf(head.first_ms) && delta == head.last_delta_ms;
}

// The samples as a head stores them, from the stored bits and the state that appending goes on
// from.
bool RestoreBits(ByteReader& in, uint8_t count, Head& head) {
  head.first_ms = in.Signed();
  head.last_delta_ms = static_cast<int32_t>(in.Signed());
  head.leading = in.Byte();
  head.significant = in.Byte();
  const uint64_t bits = in.Varint();
  const uint64_t words = (bits + 63) / 64;
  if (head.leading + head.significant > 64 || bits > kMaxBitsPerSample * kSamplesPerChunk ||
      words > in.left() / 8) {
    return false;
  }
  Reserve(head);
  while (head.word_capacity < words) {
    head.bit_count = static_cast<uint16_t>(head.word_capacity * 64);
    Reserve(head);
  }
  for (uint64_t i = 0; i < words; ++i) head.words[i] = in.Fixed64();
  // Appending needs zeros behind the last bit.
  if ((bits & 63) != 0) head.words[words - 1] &= ~0ull << (64 - (bits & 63));
  head.bit_count = static_cast<uint16_t>(bits);
  head.count = count;
  std::vector<Sample> samples;
  return head.seen && DecodeHead(head, samples) && IsSound(head, samples);
}

// Appending them again leads to the same bits and the same state.
bool RestoreChunk(ByteReader& in, uint8_t count, Head& head) {
  const int64_t first_ms = in.Signed();
  const std::string_view chunk = in.Text();
  std::vector<Sample> samples;
  if (in.failed() || !head.seen || !IsTime(first_ms) || ChunkCount(chunk) != count ||
      !DecodeChunk(chunk, first_ms, samples)) {
    return false;
  }
  const Head stored = head;
  for (const Sample& sample : samples) {
    if (!IsTime(sample.time_ms) || (head.count > 0 && MustSeal(head, sample.time_ms))) return false;
    AppendToHead(head, sample.time_ms, sample.value);
  }
  head.dirty = false;
  head.min_ms = std::min(head.min_ms, stored.min_ms);
  return head.last_ms == stored.last_ms && head.last_bits == stored.last_bits;
}

}  // namespace

bool MustSeal(const Head& head, int64_t time_ms) {
  return head.count >= kSamplesPerChunk || DayOf(time_ms) != DayOf(head.first_ms);
}

void AppendToHead(Head& head, int64_t time_ms, double value) {
  const auto value_bits = std::bit_cast<uint64_t>(value);
  Reserve(head);
  uint32_t bits = head.bit_count;
  if (head.count == 0) {
    head.first_ms = time_ms;
    head.last_delta_ms = 0;
    head.leading = head.significant = 0;
    WriteBits(head.words, bits, value_bits, 64);
  } else {
    WriteTime(head, bits, time_ms);
    WriteValue(head, bits, value_bits);
  }
  if (!head.seen || time_ms < head.min_ms) head.min_ms = time_ms;
  head.bit_count = static_cast<uint16_t>(bits);
  head.last_ms = time_ms;
  head.last_bits = value_bits;
  head.seen = true;
  head.dirty = true;
  ++head.count;
}

bool DecodeHead(const Head& head, std::vector<Sample>& out) {
  if (head.count == 0) return true;
  BitReader bits(head.words, head.bit_count);
  int64_t time_ms = head.first_ms;
  int64_t delta = 0;
  uint64_t value = bits.Read(64);
  uint32_t leading = 0;
  uint32_t significant = 0;
  out.reserve(out.size() + head.count);
  out.push_back({time_ms, std::bit_cast<double>(value)});
  for (uint32_t i = 1; i < head.count; ++i) {
    delta += ReadChange(bits);
    time_ms = WrapAdd(time_ms, delta);
    if (bits.Read(1) == 1) {
      if (bits.Read(1) == 1) {
        leading = static_cast<uint32_t>(bits.Read(5));
        significant = static_cast<uint32_t>(bits.Read(6)) + 1;
      }
      if (significant == 0 || leading + significant > 64) return false;
      value ^= bits.Read(significant) << (64 - leading - significant);
    }
    if (bits.failed()) return false;
    out.push_back({time_ms, std::bit_cast<double>(value)});
  }
  // Appending goes on from this state.
  return !bits.failed() && bits.left() == 0 && leading == head.leading &&
         significant == head.significant;
}

void ClearChunk(Head& head) {
  std::free(head.words);
  head.words = nullptr;
  head.word_capacity = 0;
  head.bit_count = 0;
  head.count = 0;
}

void ResetHead(Head& head) {
  std::free(head.words);
  delete head.late;
  head = Head{};
}

void EncodeHead(const Head& head, HeadForm form, std::string& out) {
  out.push_back(form == HeadForm::kBits ? 1 : 2);
  out.push_back(static_cast<char>((head.seen ? 1 : 0) | (head.has_late ? 2 : 0)));
  PutSigned(out, head.min_ms);
  PutSigned(out, head.last_ms);
  PutFixed64(out, head.last_bits);
  out.push_back(static_cast<char>(head.count));
  if (head.count > 0 && form == HeadForm::kChunk) {
    std::vector<Sample> samples;
    std::string chunk;
    FAULTLINE_ASSERT(DecodeHead(head, samples), "a head must decode");
    EncodeChunk(samples, chunk);
    PutSigned(out, head.first_ms);
    PutText(out, chunk);
  } else if (head.count > 0) {
    PutSigned(out, head.first_ms);
    PutSigned(out, head.last_delta_ms);
    out.push_back(static_cast<char>(head.leading));
    out.push_back(static_cast<char>(head.significant));
    PutVarint(out, head.bit_count);
    for (uint32_t i = 0; i < (head.bit_count + 63u) / 64u; ++i) PutFixed64(out, head.words[i]);
  }
  PutVarint(out, head.late != nullptr ? head.late->size() : 0);
  if (head.late == nullptr) return;
  for (const Sample& sample : *head.late) {
    PutSigned(out, sample.time_ms);
    PutFixed64(out, std::bit_cast<uint64_t>(sample.value));
  }
}

bool RestoreHead(std::string_view bytes, Head& head) {
  ResetHead(head);
  ByteReader in(bytes);
  const auto refuse = [&] {
    ResetHead(head);
    return false;
  };
  const uint8_t form = in.Byte();
  if (form != 1 && form != 2) return refuse();
  const uint8_t flags = in.Byte();
  head.seen = (flags & 1) != 0;
  head.has_late = (flags & 2) != 0;
  head.min_ms = in.Signed();
  head.last_ms = in.Signed();
  if (head.seen && (!IsTime(head.min_ms) || !IsTime(head.last_ms))) return refuse();
  head.last_bits = in.Fixed64();
  const uint8_t count = in.Byte();
  if (count > kSamplesPerChunk) return refuse();
  if (count > 0 && !(form == 1 ? RestoreBits : RestoreChunk)(in, count, head)) return refuse();
  const uint64_t late = in.Count(9);
  if (late > 0 && !head.seen) return refuse();
  if (late > 0) head.late = new std::vector<Sample>();
  for (uint64_t i = 0; i < late; ++i) {
    const int64_t time_ms = in.Signed();
    if (!IsTime(time_ms) || (i > 0 && time_ms <= head.late->back().time_ms)) return refuse();
    head.late->push_back({time_ms, std::bit_cast<double>(in.Fixed64())});
  }
  return in.failed() || !in.empty() ? refuse() : true;
}

}  // namespace faultline::store
