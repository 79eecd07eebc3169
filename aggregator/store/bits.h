// Bits in 64-bit words, most significant first. The writer touches one word per call, two at a
// word's end; the reader never leaves its words.
#pragma once

#include <cstdint>

namespace faultline::store {

// `words` must have room; bits beyond `bit_count` are zero.
inline void WriteBits(uint64_t* words, uint32_t& bit_count, uint64_t value, uint32_t width) {
  const uint32_t used = bit_count & 63;
  uint64_t* word = words + (bit_count >> 6);
  bit_count += width;
  const uint32_t room = 64 - used;
  if (width <= room) {
    *word |= value << (room - width);
    return;
  }
  *word |= value >> (width - room);
  word[1] |= value << (64 - (width - room));
}

class BitReader {
 public:
  BitReader(const uint64_t* words, uint32_t bit_count) : words_(words), left_(bit_count) {}

  bool failed() const { return failed_; }
  uint32_t left() const { return left_; }

  uint64_t Read(uint32_t width) {  // 1..64
    if (width > left_) {
      failed_ = true;
      left_ = 0;
      return 0;
    }
    left_ -= width;
    const uint32_t used = at_ & 63;
    const uint64_t* word = words_ + (at_ >> 6);
    at_ += width;
    uint64_t value = *word << used;
    if (used + width > 64) value |= word[1] >> (64 - used);
    return value >> (64 - width);
  }

 private:
  const uint64_t* words_;
  uint32_t at_ = 0;
  uint32_t left_;
  bool failed_ = false;
};

}  // namespace faultline::store
