// The small parsers of common/text.h: no input may crash them, and what they print must read back.
#include <cstdint>
#include <string_view>

#include "common/assert.h"
#include "common/text.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(bytes), size);
  (void)faultline::ParseDurationNs(text);
  (void)faultline::ParseBytes(text);
  (void)faultline::GlobMatch(text.substr(0, size / 2), text.substr(size / 2));
  if (const auto time = faultline::ParseTime(text)) {
    FAULTLINE_ASSERT(faultline::ParseTime(faultline::FormatTime(*time)) == time, "time round trip");
  }
  FAULTLINE_ASSERT(faultline::IsValidUtf8(faultline::ReplaceInvalidUtf8(text)), "repaired UTF-8");
  return 0;
}
