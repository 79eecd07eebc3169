#include "aggregator/traces/traceql.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <unordered_map>

#include "aggregator/traces/traceql_tree.h"
#include "common/base_n.h"
#include "common/text.h"

namespace faultline::traces {
namespace {

using traceql_tree::Aggregate;
using traceql_tree::Compare;
using traceql_tree::Condition;
using traceql_tree::Literal;
using traceql_tree::SpanSet;

constexpr std::string_view kKinds[] = {"unspecified", "internal", "server", "client", "producer", "consumer"};
constexpr std::string_view kStatuses[] = {"unset", "ok", "error"};

template <typename Attributes>
std::optional<std::string> Find(const Attributes& attributes, std::string_view name) {
  for (const v1::Attribute& attribute : attributes) {
    if (attribute.name() == name) return attribute.value();
  }
  return std::nullopt;
}

std::optional<std::string> ResourceField(const StoredSpan& stored, std::string_view name) {
  if (auto value = Find(stored.span.resource(), name)) return value;
  const v1::Subject& subject = stored.span.subject();
  const std::string* value = name == "service.name"         ? &stored.span.service()
                             : name == "k8s.node.name"      ? &stored.node
                             : name == "k8s.pod.name"       ? &subject.pod()
                             : name == "k8s.namespace.name" ? &subject.namespace_()
                             : name == "k8s.container.name" ? &subject.container()
                                                            : nullptr;
  if (value == nullptr || value->empty()) return std::nullopt;
  return *value;
}

template <typename T>
bool Holds(Compare compare, const T& left, const T& right) {
  switch (compare) {
    case Compare::kEqual:
      return left == right;
    case Compare::kNotEqual:
      return left != right;
    case Compare::kLess:
      return left < right;
    case Compare::kLessEqual:
      return left <= right;
    case Compare::kGreater:
      return left > right;
    case Compare::kGreaterEqual:
      return left >= right;
    default:
      return false;
  }
}

bool IsWholeTrace(std::string_view field) {
  return field == "rootName" || field == "rootServiceName" || field == "traceDuration" || field == "trace:duration" ||
         field == "trace:rootName" || field == "trace:rootService";
}

std::optional<std::string> TraceField(const TraceView& trace, std::string_view field) {
  if (field == "traceDuration" || field == "trace:duration") return std::to_string(trace.end_unix_ns - trace.begin_unix_ns);
  if (trace.root == nullptr) return std::nullopt;
  return field == "rootName" || field == "trace:rootName" ? trace.root->span.name() : trace.root->span.service();
}

bool CompareField(const Condition& condition, const std::optional<std::string>& value) {
  const Literal& literal = condition.literal;
  if (literal.is_nil) return (condition.compare == Compare::kEqual) != value.has_value();
  if (!value) return false;
  if (condition.pattern != nullptr) {
    return RE2::FullMatch(*value, *condition.pattern) == (condition.compare == Compare::kMatches);
  }
  if (literal.is_number) {
    if (const auto number = ParseDouble(*value)) return Holds(condition.compare, *number, literal.number);
    if (condition.compare != Compare::kNotEqual && condition.compare != Compare::kEqual) return false;
  }
  return Holds(condition.compare, *value, literal.text);
}

// `trace` null: what only a whole trace can tell counts as `unknown`.
bool Satisfies(const Condition& condition, const StoredSpan& span, const TraceView* trace, bool unknown) {
  switch (condition.kind) {
    case Condition::Kind::kTrue:
      return true;
    case Condition::Kind::kAnd:
      return Satisfies(*condition.left, span, trace, unknown) && Satisfies(*condition.right, span, trace, unknown);
    case Condition::Kind::kOr:
      return Satisfies(*condition.left, span, trace, unknown) || Satisfies(*condition.right, span, trace, unknown);
    case Condition::Kind::kNot:
      return !Satisfies(*condition.left, span, trace, !unknown);
    case Condition::Kind::kCompare:
      if (!IsWholeTrace(condition.field)) return CompareField(condition, SpanField(span, condition.field));
      return trace == nullptr ? unknown : CompareField(condition, TraceField(*trace, condition.field));
  }
  return false;
}

bool AggregateHolds(const Aggregate& aggregate, const TraceView& trace, const std::vector<size_t>& places) {
  double sum = 0, least = HUGE_VAL, most = -HUGE_VAL, count = 0;
  for (const size_t place : places) {
    if (aggregate.field.empty()) {
      ++count;
      continue;
    }
    const auto text = SpanField(trace.spans[place], aggregate.field);
    const auto number = text ? ParseDouble(*text) : std::nullopt;
    if (!number) continue;
    ++count;
    sum += *number;
    least = std::min(least, *number);
    most = std::max(most, *number);
  }
  if (aggregate.function == "count") return Holds(aggregate.compare, count, aggregate.number);
  if (count == 0) return false;
  const double value = aggregate.function == "sum"   ? sum
                       : aggregate.function == "avg" ? sum / count
                       : aggregate.function == "min" ? least
                                                     : most;
  return Holds(aggregate.compare, value, aggregate.number);
}

// The spans of `below` that have one of `above` as parent, or as any ancestor.
std::vector<size_t> Below(const TraceView& trace, const std::vector<size_t>& above, const std::vector<size_t>& below,
                          bool any_depth) {
  std::unordered_map<std::string_view, size_t> by_id;
  for (size_t i = 0; i < trace.spans.size(); ++i) by_id.emplace(trace.spans[i].span.span_id(), i);
  const std::set<size_t> wanted(above.begin(), above.end());
  std::vector<size_t> found;
  for (const size_t place : below) {
    size_t at = place;
    for (size_t steps = 0; steps < trace.spans.size(); ++steps) {  // a cycle of parents ends too
      const auto parent = by_id.find(trace.spans[at].span.parent_span_id());
      if (parent == by_id.end()) break;
      at = parent->second;
      if (wanted.contains(at)) {
        found.push_back(place);
        break;
      }
      if (!any_depth) break;
    }
  }
  return found;
}

std::vector<size_t> MatchSet(const SpanSet& set, const TraceView& trace) {
  std::vector<size_t> places;
  if (set.kind == SpanSet::Kind::kFilter) {
    for (size_t i = 0; i < trace.spans.size(); ++i) {
      if (Satisfies(*set.filter, trace.spans[i], &trace, true)) places.push_back(i);
    }
  } else {
    const std::vector<size_t> left = MatchSet(*set.left, trace), right = MatchSet(*set.right, trace);
    if (set.kind == SpanSet::Kind::kChild || set.kind == SpanSet::Kind::kDescendant) {
      places = Below(trace, left, right, set.kind == SpanSet::Kind::kDescendant);
    } else if (set.kind == SpanSet::Kind::kOr || (!left.empty() && !right.empty())) {
      std::ranges::set_union(left, right, std::back_inserter(places));
    }
  }
  for (const Aggregate& aggregate : set.aggregates) {
    if (places.empty() || !AggregateHolds(aggregate, trace, places)) return {};
  }
  return places;
}

bool MayMatchSet(const SpanSet& set, const StoredSpan& span) {
  if (set.kind == SpanSet::Kind::kFilter) return Satisfies(*set.filter, span, nullptr, true);
  return MayMatchSet(*set.left, span) || MayMatchSet(*set.right, span);
}

std::string ServiceOf(const Condition& condition) {
  if (condition.kind == Condition::Kind::kAnd) {
    std::string service = ServiceOf(*condition.left);
    return service.empty() ? ServiceOf(*condition.right) : service;
  }
  if (condition.kind == Condition::Kind::kCompare && condition.compare == Compare::kEqual &&
      (condition.field == "resource.service.name" || condition.field == ".service.name")) {
    return condition.literal.text;
  }
  return {};
}

}  // namespace

std::string_view KindName(int32_t kind) { return kKinds[kind >= 0 && kind <= 5 ? kind : 0]; }
std::string_view StatusName(int32_t status) { return kStatuses[status >= 0 && status <= 2 ? status : 0]; }

TraceView::TraceView(const std::vector<StoredSpan>& trace_spans) : spans(trace_spans) {
  for (const StoredSpan& stored : spans) {
    if (root == nullptr || (!root->span.parent_span_id().empty() && stored.span.parent_span_id().empty())) root = &stored;
    if (begin_unix_ns == 0 || stored.span.start_unix_ns() < begin_unix_ns) begin_unix_ns = stored.span.start_unix_ns();
    end_unix_ns = std::max(end_unix_ns, stored.span.end_unix_ns());
  }
}

std::optional<std::string> SpanField(const StoredSpan& stored, std::string_view field) {
  const v1::Span& span = stored.span;
  if (field.starts_with("span:")) field.remove_prefix(5);
  if (field.starts_with("span.")) return Find(span.attributes(), field.substr(5));
  if (field.starts_with("resource.")) return ResourceField(stored, field.substr(9));
  if (field.starts_with(".")) {
    if (auto value = Find(span.attributes(), field.substr(1))) return value;
    return ResourceField(stored, field.substr(1));
  }
  if (field == "name") return span.name();
  if (field == "duration") return std::to_string(span.end_unix_ns() - span.start_unix_ns());
  if (field == "status") return std::string(StatusName(span.status_code()));
  if (field == "statusMessage") return span.status_message();
  if (field == "kind") return std::string(KindName(span.kind()));
  if (field == "id") return ToHex(span.span_id());
  if (field == "parentID") return ToHex(span.parent_span_id());
  if (field == "trace:id") return ToHex(span.trace_id());
  if (field == "instrumentation:name") return span.scope_name();
  return std::nullopt;
}

std::vector<size_t> TraceQuery::Match(const TraceView& trace) const { return MatchSet(*tree_, trace); }
bool TraceQuery::MayMatch(const StoredSpan& span) const { return MayMatchSet(*tree_, span); }
std::string TraceQuery::service() const {
  return tree_->kind == SpanSet::Kind::kFilter ? ServiceOf(*tree_->filter) : std::string();
}

}  // namespace faultline::traces
