// Sealed chunks: damage is refused, and what decodes is rising in time and encodes to something
// that decodes the same.
#include <bit>
#include <cstdint>
#include <string_view>

#include "aggregator/store/chunk.h"
#include "common/assert.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  using namespace faultline::store;
  std::vector<faultline::Sample> samples;
  if (!DecodeChunk({reinterpret_cast<const char*>(bytes), size}, 1'000'000, samples)) {
    FAULTLINE_ASSERT(samples.empty(), "nothing of a refused chunk");
    return 0;
  }
  for (size_t i = 1; i < samples.size(); ++i) {
    FAULTLINE_ASSERT(samples[i].time_ms > samples[i - 1].time_ms, "times rise");
  }
  std::string again;
  EncodeChunk(samples, again);
  std::vector<faultline::Sample> decoded;
  FAULTLINE_ASSERT(DecodeChunk(again, samples[0].time_ms, decoded), "own chunk decodes");
  FAULTLINE_ASSERT(decoded.size() == samples.size(), "same count");
  for (size_t i = 0; i < samples.size(); ++i) {
    FAULTLINE_ASSERT(
        std::bit_cast<uint64_t>(decoded[i].value) == std::bit_cast<uint64_t>(samples[i].value),
        "same bits");
  }
  return 0;
}
