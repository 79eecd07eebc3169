// TraceQL and tags as clients send them, matched against a small trace.
#include <cstdint>
#include <string_view>

#include "aggregator/traces/traceql.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  using namespace faultline;
  const std::string_view text(reinterpret_cast<const char*>(bytes), size);
  std::vector<StoredSpan> spans(2);
  spans[0].span.set_span_id("aaaaaaaa");
  spans[0].span.set_name("GET /");
  spans[1].span.set_span_id("bbbbbbbb");
  spans[1].span.set_parent_span_id("aaaaaaaa");
  spans[1].span.set_end_unix_ns(1'000'000);
  auto* attribute = spans[1].span.add_attributes();
  attribute->set_name("http.status_code");
  attribute->set_value("500");
  const traces::TraceView view(spans);
  for (const auto& query : {traces::TraceQuery::Parse(text), traces::TraceQuery::FromTags(text)}) {
    if (!query) continue;
    (void)query->Match(view);
    (void)query->MayMatch(spans[1]);
    (void)query->service();
  }
  return 0;
}
