// Blocks of log lines: damage is an error, never a crash.
#include <cstdint>
#include <string_view>

#include "aggregator/store/log_block.h"
#include "common/assert.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  using namespace faultline::store;
  const std::string_view block(reinterpret_cast<const char*>(bytes), size);
  const auto entries = DecodeLogBlock(block, INT64_MIN, INT64_MAX, {});
  if (!entries) return 0;
  const std::string needles[] = {"error"};
  const auto some = DecodeLogBlock(block, 0, INT64_MAX, needles);
  FAULTLINE_ASSERT(some && some->size() <= entries->size(), "a filter only leaves out");
  (void)VisitPatterns(block, INT64_MIN, INT64_MAX, [](int64_t, std::string_view) {});
  std::string again;
  EncodeLogBlock(*entries, 1, again);
  const auto same = DecodeLogBlock(again, INT64_MIN, INT64_MAX, {});
  FAULTLINE_ASSERT(same && same->size() == entries->size(), "own block decodes");
  for (size_t i = 0; i < same->size(); ++i) {
    FAULTLINE_ASSERT((*same)[i].body == (*entries)[i].body, "to the same lines");
  }
  return 0;
}
