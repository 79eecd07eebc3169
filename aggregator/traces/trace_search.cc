#include "aggregator/traces/trace_search.h"

#include <algorithm>
#include <map>
#include <unordered_map>
#include <unordered_set>

namespace faultline::traces {
namespace {

bool Between(int64_t duration_ns, const SearchOptions& options) {
  return duration_ns >= options.min_duration_ns && duration_ns <= options.max_duration_ns;
}

// A trace that has a span which may match, judged as a whole.
Result<void> Judge(Store& store, const TraceQuery& query, const SearchOptions& options, const std::string& trace_id,
                   SearchResult& result) {
  ++result.inspected_traces;
  FoundTrace found;
  FAULTLINE_ASSIGN(found.spans, store.Trace(trace_id));
  const TraceView view(found.spans);
  if (!options.durations_of_spans && !Between(view.end_unix_ns - view.begin_unix_ns, options)) return {};
  found.matched = query.Match(view);
  std::erase_if(found.matched, [&](size_t place) {
    const v1::Span& span = found.spans[place].span;
    return (!options.service.empty() && span.service() != options.service) ||
           (!options.operation.empty() && span.name() != options.operation) ||
           (options.durations_of_spans && !Between(span.end_unix_ns() - span.start_unix_ns(), options));
  });
  if (!found.matched.empty()) result.traces.push_back(std::move(found));
  return {};
}

}  // namespace

Result<SearchResult> SearchTraces(Store& store, const TraceQuery& query, const SearchOptions& options) {
  SearchResult result;
  std::unordered_set<std::string> seen;
  SpanQuery scan{.service = options.service.empty() ? query.service() : options.service,
                 .operation = options.operation,
                 .begin_unix_ns = options.begin_unix_ns,
                 .end_unix_ns = options.end_unix_ns};
  Result<void> judged;
  FAULTLINE_TRY(store.ScanSpans(scan, [&](const StoredSpan& span) {
    if (++result.inspected_spans > options.max_spans_looked_at) {
      result.complete = false;
      return false;
    }
    if (result.inspected_spans % 256 == 0 && options.check_stop) {
      judged = options.check_stop();
      if (!judged) return false;
    }
    if (seen.contains(span.span.trace_id()) || !query.MayMatch(span)) return true;
    seen.insert(span.span.trace_id());
    judged = Judge(store, query, options, span.span.trace_id(), result);
    return judged.has_value() && result.traces.size() < options.max_traces;
  }));
  FAULTLINE_TRY(judged);
  std::ranges::stable_sort(result.traces, std::ranges::greater(), [](const FoundTrace& trace) {
    return trace.spans.front().span.start_unix_ns();
  });
  return result;
}

Result<std::vector<ServiceCall>> ServiceGraph(Store& store, int64_t begin_unix_ns, int64_t end_unix_ns,
                                              size_t max_spans) {
  struct Child {
    std::string service;
    bool error;
    int64_t duration_ns;
  };
  std::unordered_map<std::string, std::string> services;            // trace and span id -> service
  std::unordered_map<std::string, std::vector<Child>> without_parent;  // trace and parent id -> children seen first
  std::map<std::pair<std::string, std::string>, ServiceCall> calls;
  const auto count = [&](const std::string& parent, const Child& child) {
    if (parent == child.service) return;
    ServiceCall& call = calls[{parent, child.service}];
    call.parent = parent;
    call.child = child.service;
    ++call.calls;
    call.errors += child.error;
    call.total_duration_ns += child.duration_ns;
  };
  size_t looked_at = 0;
  FAULTLINE_TRY(store.ScanSpans({.begin_unix_ns = begin_unix_ns, .end_unix_ns = end_unix_ns}, [&](const StoredSpan& stored) {
    const v1::Span& span = stored.span;
    const std::string own = span.trace_id() + span.span_id();
    services.emplace(own, span.service());
    if (const auto waiting = without_parent.extract(own)) {
      for (const Child& child : waiting.mapped()) count(span.service(), child);
    }
    if (!span.parent_span_id().empty()) {
      Child child{span.service(), span.status_code() == 2, span.end_unix_ns() - span.start_unix_ns()};
      const std::string parent = span.trace_id() + span.parent_span_id();
      if (const auto known = services.find(parent); known != services.end()) {
        count(known->second, child);
      } else {
        without_parent[parent].push_back(std::move(child));
      }
    }
    return ++looked_at < max_spans;
  }));
  std::vector<ServiceCall> list;
  for (auto& [key, call] : calls) list.push_back(std::move(call));
  return list;
}

}  // namespace faultline::traces
