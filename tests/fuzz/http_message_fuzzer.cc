// Any bytes of a client or server: heads, framing and chunks. What was read writes itself again.
#include <cstdint>
#include <string>
#include <string_view>

#include "agent/faults/http_message.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(bytes), size);
  size_t length = 0;
  const auto head = faultline::ReadHttpHead(input, length);
  if (head && *head) {
    if (length > size) __builtin_trap();
    (void)faultline::FramingOf(**head, "GET");
    const std::string text = (**head).Text();
    size_t again_length = 0;
    const auto again = faultline::ReadHttpHead(text, again_length);
    if (!again || !*again || (**again).Text() != text) __builtin_trap();
  }
  faultline::ChunkFollower chunks;
  std::string body;
  const auto used = chunks.Feed(input, &body);
  if (used && (*used > size || body.size() > size)) __builtin_trap();
  return 0;
}
