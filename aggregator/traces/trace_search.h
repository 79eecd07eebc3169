// The newest traces that a query matches, and the figures that lists of traces show.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "aggregator/store/store.h"
#include "aggregator/traces/traceql.h"

namespace faultline::traces {

struct SearchOptions {
  std::string service;    // narrows the search; empty: what the query says
  std::string operation;  // of that service
  int64_t begin_unix_ns = 0;
  int64_t end_unix_ns = 0;
  int64_t min_duration_ns = 0;          // of the trace, or of the span that matches
  int64_t max_duration_ns = INT64_MAX;
  bool durations_of_spans = false;
  size_t max_traces = 20;
  size_t max_spans_looked_at = 2'000'000;
  std::function<Result<void>()> check_stop;  // deadline
};

struct FoundTrace {
  std::vector<StoredSpan> spans;
  std::vector<size_t> matched;
};

struct SearchResult {
  std::vector<FoundTrace> traces;  // newest first
  uint64_t inspected_spans = 0;
  uint64_t inspected_traces = 0;
  bool complete = true;  // false: the limit of spans was reached first
};

Result<SearchResult> SearchTraces(Store& store, const TraceQuery& query, const SearchOptions& options);

struct ServiceCall {
  std::string parent;
  std::string child;
  uint64_t calls = 0;
  uint64_t errors = 0;
  int64_t total_duration_ns = 0;
};

// Spans whose parent is of another service, summed by the two, of the newest `max_spans` of the window.
Result<std::vector<ServiceCall>> ServiceGraph(Store& store, int64_t begin_unix_ns, int64_t end_unix_ns,
                                              size_t max_spans);

}  // namespace faultline::traces
