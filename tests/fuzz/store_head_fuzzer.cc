// Snapshots of heads: damage is refused; what is taken decodes and can be appended to.
#include <cstdint>
#include <string_view>

#include "aggregator/store/head_chunk.h"
#include "common/assert.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  using namespace faultline::store;
  Head head;
  if (RestoreHead({reinterpret_cast<const char*>(bytes), size}, head)) {
    const size_t before = head.count;
    const int64_t next = head.last_ms + 1;
    if (head.count > 0 && next < kMaxTimeMs && !MustSeal(head, next)) AppendToHead(head, next, 1.5);
    std::vector<faultline::Sample> samples;
    FAULTLINE_ASSERT(DecodeHead(head, samples), "a head that was taken decodes");
    FAULTLINE_ASSERT(samples.size() == head.count && head.count >= before, "all samples");
  }
  ResetHead(head);
  return 0;
}
