#include "aggregator/traces/jaeger_json.h"

#include <map>

#include "aggregator/traces/traceql.h"
#include "common/base_n.h"
#include "common/text.h"

namespace faultline::traces {
namespace {

namespace json = boost::json;

json::object Tag(std::string_view key, std::string_view type, json::value value) {
  return {{"key", key}, {"type", type}, {"value", std::move(value)}};
}

json::object TagOf(const v1::Attribute& attribute) {
  switch (attribute.type()) {
    case v1::VALUE_TYPE_INTEGER:
      if (const auto number = ParseInt(attribute.value())) return Tag(attribute.name(), "int64", *number);
      break;
    case v1::VALUE_TYPE_DOUBLE:
      if (const auto number = ParseDouble(attribute.value())) return Tag(attribute.name(), "float64", *number);
      break;
    case v1::VALUE_TYPE_BOOLEAN:
      return Tag(attribute.name(), "bool", attribute.value() == "true");
    default:
      break;
  }
  return Tag(attribute.name(), "string", json::value(attribute.value()));
}

template <typename Attributes>
json::array TagsOf(const Attributes& attributes) {
  json::array tags;
  for (const v1::Attribute& attribute : attributes) tags.push_back(TagOf(attribute));
  return tags;
}

json::object Process(const StoredSpan& stored) {
  json::array tags;
  for (const v1::Attribute& attribute : stored.span.resource()) {
    if (attribute.name() != "service.name") tags.push_back(TagOf(attribute));
  }
  if (stored.span.resource().empty()) {
    const v1::Subject& subject = stored.span.subject();
    for (const auto& [name, value] : std::initializer_list<std::pair<std::string_view, std::string_view>>{
             {"k8s.node.name", stored.node},
             {"k8s.namespace.name", subject.namespace_()},
             {"k8s.pod.name", subject.pod()},
             {"k8s.container.name", subject.container()}}) {
      if (!value.empty()) tags.push_back(Tag(name, "string", json::value(value)));
    }
  }
  return {{"serviceName", stored.span.service()}, {"tags", std::move(tags)}};
}

json::array ReferencesOf(const v1::Span& span) {
  json::array references;
  const auto add = [&](std::string_view type, const std::string& trace, const std::string& id) {
    references.push_back({{"refType", type}, {"traceID", ToHex(trace)}, {"spanID", ToHex(id)}});
  };
  if (!span.parent_span_id().empty()) add("CHILD_OF", span.trace_id(), span.parent_span_id());
  for (const v1::SpanLink& link : span.links()) add("FOLLOWS_FROM", link.trace_id(), link.span_id());
  return references;
}

json::object SpanJson(const v1::Span& span, const std::string& process) {
  json::array tags = TagsOf(span.attributes());
  if (span.kind() > 0) tags.push_back(Tag("span.kind", "string", json::value(KindName(span.kind()))));
  if (span.status_code() > 0)
    tags.push_back(Tag("otel.status_code", "string", span.status_code() == 2 ? "ERROR" : "OK"));
  if (span.status_code() == 2) tags.push_back(Tag("error", "bool", true));
  if (!span.status_message().empty())
    tags.push_back(Tag("otel.status_description", "string", json::value(span.status_message())));
  if (!span.scope_name().empty()) tags.push_back(Tag("otel.scope.name", "string", json::value(span.scope_name())));
  if (!span.scope_version().empty())
    tags.push_back(Tag("otel.scope.version", "string", json::value(span.scope_version())));
  if (!span.trace_state().empty()) tags.push_back(Tag("w3c.tracestate", "string", json::value(span.trace_state())));
  json::array logs;
  for (const v1::SpanEvent& event : span.events()) {
    json::array fields = TagsOf(event.attributes());
    fields.push_back(Tag("event", "string", json::value(event.name())));
    logs.push_back({{"timestamp", event.time_unix_ns() / 1000}, {"fields", std::move(fields)}});
  }
  return {{"traceID", ToHex(span.trace_id())},
          {"spanID", ToHex(span.span_id())},
          {"operationName", span.name()},
          {"references", ReferencesOf(span)},
          {"startTime", span.start_unix_ns() / 1000},
          {"duration", (span.end_unix_ns() - span.start_unix_ns()) / 1000},
          {"tags", std::move(tags)},
          {"logs", std::move(logs)},
          {"processID", process},
          {"warnings", nullptr}};
}

}  // namespace

json::value JaegerTrace(const std::vector<StoredSpan>& spans) {
  json::object processes;
  std::map<std::string, std::string> ids;  // a process' JSON -> p1, p2 …
  json::array list;
  for (const StoredSpan& stored : spans) {
    json::object process = Process(stored);
    const auto [id, is_new] = ids.emplace(json::serialize(process), "p" + std::to_string(ids.size() + 1));
    if (is_new) processes[id->second] = std::move(process);
    list.push_back(SpanJson(stored.span, id->second));
  }
  return {{"traceID", spans.empty() ? std::string() : ToHex(spans.front().span.trace_id())},
          {"spans", std::move(list)},
          {"processes", std::move(processes)},
          {"warnings", nullptr}};
}

}  // namespace faultline::traces
