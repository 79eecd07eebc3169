// The bodies of OTLP/HTTP: the first byte chooses signal and encoding, the rest is the body. What decodes is translated,
// and traces are written back out.
#include <cstdint>
#include <string_view>

#include "aggregator/otlp/otlp.h"
#include "tests/support/memory_store.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  using namespace faultline;
  if (size == 0) return 0;
  const auto encoding = (bytes[0] & 1) != 0 ? otlp::Encoding::kJson : otlp::Encoding::kProtobuf;
  const std::string_view body(reinterpret_cast<const char*>(bytes) + 1, size - 1);
  MemoryStore store;
  switch (bytes[0] >> 1 & 3) {
    case 0:
      if (const auto request = otlp::DecodeMetrics(body, encoding)) (void)otlp::TranslateMetrics(*request, store, 1'700'000'000'000'000'000);
      break;
    case 1:
      if (const auto request = otlp::DecodeLogs(body, encoding)) (void)otlp::TranslateLogs(*request, store, 1'700'000'000'000'000'000);
      break;
    default:
      if (const auto request = otlp::DecodeTraces(body, encoding)) {
        std::vector<StoredSpan> spans;
        for (const AppendBatch& batch : otlp::TranslateTraces(*request).batches) {
          for (const v1::Span& span : batch.spans) spans.push_back({batch.node, span});
        }
        (void)otlp::EncodeJson(otlp::MakeTrace(spans));
      }
  }
  return 0;
}
