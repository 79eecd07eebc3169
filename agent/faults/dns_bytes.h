// Numbers in network byte order, and the Internet checksum, for frames that are made by hand.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace faultline {

constexpr size_t kEthernetBytes = 14;

inline unsigned Read16(std::string_view text, size_t at) {
  return static_cast<unsigned>(static_cast<uint8_t>(text[at])) << 8 |
         static_cast<uint8_t>(text[at + 1]);
}
inline uint32_t Read32(std::string_view text, size_t at) {
  return Read16(text, at) << 16 | Read16(text, at + 2);
}
inline void Put16(std::string& text, unsigned value) {
  text += static_cast<char>(value >> 8 & 0xff);
  text += static_cast<char>(value & 0xff);
}
inline void Put32(std::string& text, uint32_t value) {
  Put16(text, value >> 16);
  Put16(text, value & 0xffff);
}
inline void Set16(std::string& text, size_t at, unsigned value) {
  text[at] = static_cast<char>(value >> 8 & 0xff);
  text[at + 1] = static_cast<char>(value & 0xff);
}
inline uint32_t Sum16(std::string_view text, uint32_t sum = 0) {
  for (size_t i = 0; i + 1 < text.size(); i += 2) sum += Read16(text, i);
  if (text.size() % 2 == 1) sum += static_cast<uint32_t>(static_cast<uint8_t>(text.back())) << 8;
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  return sum;
}

}  // namespace faultline
