// What an authenticated but broken or hostile agent can send: decompression, parsing and translation of batches.
#include <google/protobuf/stubs/logging.h>

#include <cstdint>
#include <string_view>

#include "aggregator/session.h"
#include "common/transport.h"
#include "tests/support/memory_store.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  using faultline::Session;
  namespace v1 = faultline::v1;
  google::protobuf::SetLogHandler(nullptr);  // a line per malformed field would be all one sees
  const std::string_view input(reinterpret_cast<const char*>(bytes), size);
  faultline::MemoryStore store;
  Session session("n", 1, {});
  faultline::SessionDrops drops;
  const faultline::SessionLimits limits{.max_series_per_node = 100, .oldest_ms = 0, .newest_ms = INT64_MAX};
  const auto translate = [&](std::string_view text) {
    v1::Batch batch;
    if (batch.ParseFromArray(text.data(), static_cast<int>(text.size()))) {
      (void)session.Translate(std::move(batch), &store, limits, &drops);
    }
    v1::Definitions definitions;
    if (definitions.ParseFromArray(text.data(), static_cast<int>(text.size()))) {
      (void)session.Define(definitions, &store, limits);
    }
  };
  translate(input);
  if (const auto message = faultline::DecodeFrame(input)) {
    if (const auto text = faultline::Decompress(message->payload, 1 << 20)) translate(*text);
  }
  return 0;
}
