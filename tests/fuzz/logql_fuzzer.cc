// LogQL: the first line of the input is the query, the others are log lines that it runs over.
#include <cstdint>
#include <string_view>

#include "aggregator/query/logql.h"
#include "common/text.h"
#include "tests/support/memory_store.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  std::string_view rest(reinterpret_cast<const char*>(bytes), size);
  std::string_view text, line;
  if (!faultline::NextLine(rest, text)) return 0;
  const auto query = faultline::LogQlQuery::Parse(text);
  if (!query) return 0;
  faultline::MemoryStore store;
  for (int i = 0; i < 16 && faultline::NextLine(rest, line); ++i) {
    faultline::LogEntry entry;
    entry.time_unix_ns = i * faultline::kNsPerSecond;
    entry.body = std::string(line);
    store.AddLog({{"app", "a"}}, std::move(entry));
  }
  faultline::QueryOptions options;
  options.max_samples = 20'000;
  options.logs = &store;
  if (query->is_log_query()) {
    (void)query->Lines(store, 0, 100 * faultline::kNsPerSecond, 10, true, options);
    return 0;
  }
  const auto source = faultline::promql::MakeSeriesSource(&store, {});
  (void)query->metric().Over(0, 20'000, 1'000, *source, options);
  return 0;
}
