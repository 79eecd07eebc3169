// Records of the durable sample log: damage is an error, never a crash, and memory stays within a
// multiple of the input.
#include <cstdint>
#include <string_view>

#include "aggregator/store/sample_record.h"
#include "common/assert.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  using namespace faultline::store;
  const auto rows = DecodeSampleRecord({reinterpret_cast<const char*>(bytes), size});
  if (!rows) return 0;
  std::string again;
  EncodeSampleRecord(*rows, again);
  FAULTLINE_ASSERT(DecodeSampleRecord(again)->size() == rows->size(), "own record decodes");
  return 0;
}
