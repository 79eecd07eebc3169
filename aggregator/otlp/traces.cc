// Spans in, and traces back out in the same shape.
#include <algorithm>

#include "aggregator/otlp/attribute_values.h"
#include "aggregator/otlp/otlp.h"
#include "aggregator/otlp/resource.h"
#include "common/text.h"

namespace faultline::otlp {
namespace {

constexpr size_t kTraceIdBytes = 16;
constexpr size_t kSpanIdBytes = 8;
constexpr size_t kMaxSpanBytes = 1u << 20;

using Attributes = google::protobuf::RepeatedPtrField<faultline::v1::Attribute>;
using Pairs = google::protobuf::RepeatedPtrField<v1::KeyValue>;

void FromPairs(const Pairs& from, Attributes* to) {
  for (const v1::KeyValue& pair : from) *to->Add() = AttributeOf(pair);
}
void ToPairs(const Attributes& from, Pairs* to) {
  for (const faultline::v1::Attribute& attribute : from) {
    v1::KeyValue* pair = to->Add();
    pair->set_key(attribute.name());
    FillAnyValue(attribute, pair->mutable_value());
  }
}

int64_t Time(uint64_t unix_ns) { return static_cast<int64_t>(std::min<uint64_t>(unix_ns, INT64_MAX)); }

// Why it cannot be kept; empty if it can.
std::string Refusal(const v1::Span& span) {
  const auto zero = [](const std::string& id) { return std::ranges::all_of(id, [](char c) { return c == 0; }); };
  if (span.trace_id().size() != kTraceIdBytes || zero(span.trace_id()))
    return fmt::format("span '{}': its trace id must be {} bytes, not all zero", span.name(), kTraceIdBytes);
  if (span.span_id().size() != kSpanIdBytes || zero(span.span_id()))
    return fmt::format("span '{}': its span id must be {} bytes, not all zero", span.name(), kSpanIdBytes);
  if (span.start_time_unix_nano() == 0) return fmt::format("span '{}': it has no start", span.name());
  if (span.ByteSizeLong() > kMaxSpanBytes)
    return fmt::format("span '{}': {} bytes are beyond the limit of {}", span.name(), span.ByteSizeLong(), kMaxSpanBytes);
  return {};
}

faultline::v1::Span SpanOf(const v1::Span& from) {
  faultline::v1::Span span;
  span.set_trace_id(from.trace_id());
  span.set_span_id(from.span_id());
  if (from.parent_span_id().size() == kSpanIdBytes) span.set_parent_span_id(from.parent_span_id());
  span.set_name(from.name());
  span.set_kind(from.kind());
  span.set_start_unix_ns(Time(from.start_time_unix_nano()));
  span.set_end_unix_ns(std::max(Time(from.end_time_unix_nano()), span.start_unix_ns()));
  span.set_status_code(from.status().code());
  span.set_status_message(from.status().message());
  span.set_trace_state(from.trace_state());
  FromPairs(from.attributes(), span.mutable_attributes());
  for (const v1::Span::Event& event : from.events()) {
    faultline::v1::SpanEvent* to = span.add_events();
    to->set_time_unix_ns(Time(event.time_unix_nano()));
    to->set_name(event.name());
    FromPairs(event.attributes(), to->mutable_attributes());
  }
  for (const v1::Span::Link& link : from.links()) {
    faultline::v1::SpanLink* to = span.add_links();
    to->set_trace_id(link.trace_id());
    to->set_span_id(link.span_id());
    to->set_trace_state(link.trace_state());
    FromPairs(link.attributes(), to->mutable_attributes());
  }
  return span;
}

void FillSpan(const faultline::v1::Span& from, v1::Span* span) {
  span->set_trace_id(from.trace_id());
  span->set_span_id(from.span_id());
  span->set_parent_span_id(from.parent_span_id());
  span->set_trace_state(from.trace_state());
  span->set_name(from.name());
  span->set_kind(static_cast<v1::Span::SpanKind>(from.kind()));
  span->set_start_time_unix_nano(static_cast<uint64_t>(from.start_unix_ns()));
  span->set_end_time_unix_nano(static_cast<uint64_t>(from.end_unix_ns()));
  ToPairs(from.attributes(), span->mutable_attributes());
  span->mutable_status()->set_code(static_cast<v1::Status::StatusCode>(from.status_code()));
  span->mutable_status()->set_message(from.status_message());
  for (const auto& event : from.events()) {
    v1::Span::Event* to = span->add_events();
    to->set_time_unix_nano(static_cast<uint64_t>(event.time_unix_ns()));
    to->set_name(event.name());
    ToPairs(event.attributes(), to->mutable_attributes());
  }
  for (const auto& link : from.links()) {
    v1::Span::Link* to = span->add_links();
    to->set_trace_id(link.trace_id());
    to->set_span_id(link.span_id());
    to->set_trace_state(link.trace_state());
    ToPairs(link.attributes(), to->mutable_attributes());
  }
}

// The resource of a span that came by other ways than OTLP (a probe's): made from what is known of it.
v1::Resource ResourceOf(const StoredSpan& stored) {
  v1::Resource resource;
  ToPairs(stored.span.resource(), resource.mutable_attributes());
  const auto add = [&](std::string_view key, const std::string& value) {
    if (value.empty() || std::ranges::any_of(resource.attributes(), [&](const auto& a) { return a.key() == key; }))
      return;
    v1::KeyValue* pair = resource.add_attributes();
    pair->set_key(std::string(key));
    pair->mutable_value()->set_string_value(value);
  };
  add("service.name", stored.span.service());
  if (stored.span.resource().empty()) {
    add("k8s.node.name", stored.node);
    add("k8s.namespace.name", stored.span.subject().namespace_());
    add("k8s.pod.name", stored.span.subject().pod());
    add("k8s.container.name", stored.span.subject().container());
  }
  return resource;
}

}  // namespace

Translation TranslateTraces(const v1::ExportTraceServiceRequest& request) {
  Translation out;
  for (const v1::ResourceSpans& resource_spans : request.resource_spans()) {
    const ResourceView resource(resource_spans.resource());
    for (const v1::ScopeSpans& scope : resource_spans.scope_spans()) {
      for (const v1::Span& from : scope.spans()) {
        if (const std::string refusal = Refusal(from); !refusal.empty()) {
          out.Reject(1, refusal);
          continue;
        }
        faultline::v1::Span span = SpanOf(from);
        span.set_service(resource.service);
        *span.mutable_subject() = resource.subject;
        FromPairs(resource_spans.resource().attributes(), span.mutable_resource());
        span.set_scope_name(scope.scope().name());
        span.set_scope_version(scope.scope().version());
        out.BatchOf(resource.node).spans.push_back(std::move(span));
        ++out.accepted;
      }
    }
  }
  return out;
}

v1::Trace MakeTrace(const std::vector<StoredSpan>& spans) {
  v1::Trace trace;
  std::vector<std::string> keys;  // of each batch
  for (const StoredSpan& stored : spans) {
    const v1::Resource resource = ResourceOf(stored);
    std::string key = resource.SerializeAsString();
    const auto found = std::ranges::find(keys, key);
    const int at = static_cast<int>(found - keys.begin());
    if (found == keys.end()) {
      keys.push_back(std::move(key));
      *trace.add_batches()->mutable_resource() = resource;
    }
    v1::ResourceSpans* batch = trace.mutable_batches(at);
    const auto scope = std::ranges::find_if(batch->scope_spans(), [&](const v1::ScopeSpans& each) {
      return each.scope().name() == stored.span.scope_name() &&
             each.scope().version() == stored.span.scope_version();
    });
    v1::ScopeSpans* into;
    if (scope == batch->scope_spans().end()) {
      into = batch->add_scope_spans();
      into->mutable_scope()->set_name(stored.span.scope_name());
      into->mutable_scope()->set_version(stored.span.scope_version());
    } else {
      into = batch->mutable_scope_spans(static_cast<int>(scope - batch->scope_spans().begin()));
    }
    FillSpan(stored.span, into->add_spans());
  }
  return trace;
}

}  // namespace faultline::otlp
