// PromQL: whatever the text, parsing says yes or no, and what parses evaluates within small limits.
#include <cstdint>
#include <string_view>

#include "aggregator/query/promql.h"
#include "aggregator/query/result_json.h"
#include "common/assert.h"
#include "tests/support/memory_store.h"

namespace {

faultline::MemoryStore MakeStore() {
  faultline::MemoryStore store;
  for (const char* job : {"a", "b"}) {
    for (const char* le : {"1", "+Inf"}) {
      std::vector<faultline::Sample> samples;
      for (int i = 0; i < 20; ++i) samples.push_back({i * 15'000, static_cast<double>(i % 7)});
      store.Add({{"__name__", "up"}, {"job", job}, {"le", le}}, samples);
    }
  }
  return store;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  static faultline::MemoryStore store = MakeStore();
  const auto query = faultline::PromQuery::Parse({reinterpret_cast<const char*>(bytes), size});
  if (!query) {
    FAULTLINE_ASSERT(!query.error().message.empty(), "an error says why");
    return 0;
  }
  faultline::QueryOptions options;
  options.max_samples = 20'000;
  const auto source = faultline::promql::MakeSeriesSource(&store, {});
  std::string json;
  if (const auto result = query->At(300'000, *source, options)) {
    faultline::promql::AppendJsonResult(json, *result);
  }
  if (const auto result = query->Over(0, 300'000, 60'000, *source, options)) {
    faultline::promql::AppendJsonResult(json, *result);
  }
  return 0;
}
