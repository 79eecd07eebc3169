// TraceQL's spanset expressions: which spans of a trace match. Pure; thread-safe once parsed.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "aggregator/store/store.h"
#include "common/result.h"

namespace faultline::traces {

// A trace with what queries ask about as a whole.
struct TraceView {
  explicit TraceView(const std::vector<StoredSpan>& trace_spans);
  const std::vector<StoredSpan>& spans;  // in order of start
  const StoredSpan* root = nullptr;      // without a parent, or the first
  int64_t begin_unix_ns = 0;
  int64_t end_unix_ns = 0;
};

namespace traceql_tree {
struct Condition;
struct SpanSet;
}  // namespace traceql_tree

class TraceQuery {
 public:
  // kInvalidArgument: `1:5: parse error: …`. An empty text is `{}`.
  static Result<TraceQuery> Parse(std::string_view text);
  // name=value pairs in logfmt, as Tempo's `tags`, all of which one span must have.
  static Result<TraceQuery> FromTags(std::string_view tags);

  // Places of the spans that match in `trace.spans`; empty: this trace is none.
  std::vector<size_t> Match(const TraceView& trace) const;
  // Whether a single span can be part of a match; true for what only a whole trace can tell.
  bool MayMatch(const StoredSpan& span) const;
  // The service that every match has a span of, if the text says one; empty otherwise.
  std::string service() const;

 private:
  std::shared_ptr<const traceql_tree::SpanSet> tree_;
};

// The text of a span's attribute by TraceQL's name: .a, span.a, resource.a, name, status, kind …
std::optional<std::string> SpanField(const StoredSpan& span, std::string_view field);

std::string_view KindName(int32_t kind);      // server
std::string_view StatusName(int32_t status);  // error, ok, unset

}  // namespace faultline::traces
