// Reading and writing the small integers that all stored formats are made of: LEB128 varints,
// zigzag, fixed little-endian words in values and big-endian words in keys (byte order is then
// order of time). The reader never leaves its input: after the first short or overlong field it
// yields zeros and says failed().
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace faultline::store {

static_assert(std::endian::native == std::endian::little, "fixed words are copied as they are");

inline void PutVarint(std::string& out, uint64_t value) {
  while (value >= 0x80) {
    out.push_back(static_cast<char>(value | 0x80));
    value >>= 7;
  }
  out.push_back(static_cast<char>(value));
}

inline size_t VarintSize(uint64_t value) { return (std::bit_width(value | 1) + 6) / 7; }

inline uint64_t ZigZag(int64_t value) {
  return (static_cast<uint64_t>(value) << 1) ^ static_cast<uint64_t>(value >> 63);
}
inline int64_t UnZigZag(uint64_t value) {
  return static_cast<int64_t>(value >> 1) ^ -static_cast<int64_t>(value & 1);
}
// Differences wrap instead of overflowing; adding them again wraps back.
inline int64_t WrapSub(int64_t a, int64_t b) {
  return static_cast<int64_t>(static_cast<uint64_t>(a) - static_cast<uint64_t>(b));
}
inline int64_t WrapAdd(int64_t a, int64_t b) {
  return static_cast<int64_t>(static_cast<uint64_t>(a) + static_cast<uint64_t>(b));
}
inline void PutSigned(std::string& out, int64_t value) { PutVarint(out, ZigZag(value)); }

inline void PutFixed64(std::string& out, uint64_t value) {
  char bytes[8];
  std::memcpy(bytes, &value, 8);
  out.append(bytes, 8);
}
inline void PutText(std::string& out, std::string_view text) {
  PutVarint(out, text.size());
  out.append(text);
}
inline void PutBe32(std::string& out, uint32_t value) {
  value = __builtin_bswap32(value);
  out.append(reinterpret_cast<const char*>(&value), 4);
}
inline void PutBe64(std::string& out, uint64_t value) {
  value = __builtin_bswap64(value);
  out.append(reinterpret_cast<const char*>(&value), 8);
}
// Signed order becomes byte order.
inline void PutBeTime(std::string& out, int64_t time) {
  PutBe64(out, static_cast<uint64_t>(time) ^ (1ull << 63));
}

class ByteReader {
 public:
  explicit ByteReader(std::string_view bytes) : at_(bytes.data()), end_(at_ + bytes.size()) {}

  bool failed() const { return failed_; }
  bool empty() const { return at_ == end_; }
  size_t left() const { return static_cast<size_t>(end_ - at_); }

  uint64_t Varint() {
    uint64_t value = 0;
    for (int shift = 0; shift < 64 && at_ != end_; shift += 7) {
      const auto byte = static_cast<uint8_t>(*at_++);
      if (shift == 63 && byte > 1) break;
      value |= static_cast<uint64_t>(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    return Fail();
  }
  int64_t Signed() { return UnZigZag(Varint()); }
  uint8_t Byte() {
    return at_ == end_ ? static_cast<uint8_t>(Fail()) : static_cast<uint8_t>(*at_++);
  }
  uint64_t Fixed64() {
    if (left() < 8) return Fail();
    uint64_t value;
    std::memcpy(&value, at_, 8);
    at_ += 8;
    return value;
  }
  uint32_t Be32() {
    if (left() < 4) return static_cast<uint32_t>(Fail());
    uint32_t value;
    std::memcpy(&value, at_, 4);
    at_ += 4;
    return __builtin_bswap32(value);
  }
  uint64_t Be64() { return __builtin_bswap64(Fixed64()); }
  int64_t BeTime() { return static_cast<int64_t>(Be64() ^ (1ull << 63)); }
  std::string_view Bytes(uint64_t size) {
    if (left() < size) {
      Fail();
      return {};
    }
    const std::string_view bytes(at_, size);
    at_ += size;
    return bytes;
  }
  std::string_view Text() { return Bytes(Varint()); }
  // A count of things of at least `bytes_each` bytes: more than the input can hold is a failure.
  uint64_t Count(uint64_t bytes_each) {
    const uint64_t count = Varint();
    if (bytes_each != 0 && count > left() / bytes_each) return Fail();
    return count;
  }

 private:
  uint64_t Fail() {
    failed_ = true;
    at_ = end_;
    return 0;
  }

  const char* at_;
  const char* end_;
  bool failed_ = false;
};

}  // namespace faultline::store
