// Log records to lines of streams. Low-cardinality facts of the resource are the stream's labels, all
// else is the line's own attributes, as LogQL's structured metadata.
#include <map>

#include "aggregator/otlp/attribute_values.h"
#include "aggregator/otlp/otlp.h"
#include "aggregator/otlp/resource.h"
#include "common/base_n.h"
#include "common/text.h"

namespace faultline::otlp {
namespace {

constexpr size_t kMaxBodyBytes = 1u << 20;

faultline::v1::Severity SeverityOf(const v1::LogRecord& record) {
  const int32_t number = record.severity_number();
  if (number < 1 || number > 24) return faultline::v1::SEVERITY_UNSPECIFIED;
  return static_cast<faultline::v1::Severity>((number - 1) / 4 * 4 + 1);
}

Labels StreamOf(const ResourceView& resource) {
  Labels labels = resource.place;
  labels.emplace_back("service_name", resource.service);
  if (!resource.instance.empty()) labels.emplace_back("service_instance_id", resource.instance);
  if (resource.job != resource.service)
    labels.emplace_back("service_namespace",
                        resource.job.substr(0, resource.job.size() - resource.service.size() - 1));
  SortLabels(labels);
  return labels;
}

faultline::v1::LogRecord RecordOf(const v1::LogRecord& from, const v1::Resource& resource,
                                  const std::string& scope, int64_t now_unix_ns) {
  faultline::v1::LogRecord record;
  const uint64_t time = from.time_unix_nano() != 0 ? from.time_unix_nano() : from.observed_time_unix_nano();
  record.set_time_unix_ns(time == 0 || time > INT64_MAX ? now_unix_ns : static_cast<int64_t>(time));
  record.set_observed_unix_ns(now_unix_ns);
  record.set_severity(SeverityOf(from));
  record.set_body(TextOf(from.body()));
  const auto add = [&](const std::string& name, std::string value) {
    if (value.empty()) return;
    faultline::v1::Label* label = record.add_attributes();
    label->set_name(name);
    label->set_value(std::move(value));
  };
  for (const v1::KeyValue& pair : from.attributes()) add(pair.key(), TextOf(pair.value()));
  add("trace_id", ToHex(from.trace_id()));
  add("span_id", ToHex(from.span_id()));
  add("severity_text", from.severity_text());
  add("event_name", from.event_name());
  add("scope_name", scope);
  for (const v1::KeyValue& pair : resource.attributes()) {
    const std::string& key = pair.key();
    if (key.starts_with("service.") || key == "k8s.pod.name" || key == "k8s.namespace.name" ||
        key == "k8s.container.name" || key == "k8s.node.name" || key == "host.name") {
      continue;
    }
    add(key, TextOf(pair.value()));
  }
  return record;
}

}  // namespace

Result<Translation> TranslateLogs(const v1::ExportLogsServiceRequest& request, Store& store,
                                  int64_t now_unix_ns) {
  Translation out;
  for (const v1::ResourceLogs& resource_logs : request.resource_logs()) {
    const ResourceView resource(resource_logs.resource());
    AppendBatch::LogRows rows;
    for (const v1::ScopeLogs& scope : resource_logs.scope_logs()) {
      for (const v1::LogRecord& from : scope.log_records()) {
        auto record = RecordOf(from, resource_logs.resource(), scope.scope().name(), now_unix_ns);
        if (record.body().size() > kMaxBodyBytes) {
          out.Reject(1, fmt::format("a log body of {} bytes is longer than the limit of {} bytes",
                                    record.body().size(), kMaxBodyBytes));
          continue;
        }
        rows.records.push_back(std::move(record));
      }
    }
    if (rows.records.empty()) continue;
    const auto stream = store.InternStream(StreamOf(resource));
    if (!stream && stream.error().code == ErrorCode::kResourceExhausted) {
      out.Reject(static_cast<int64_t>(rows.records.size()), stream.error().message);
      continue;
    }
    if (!stream) return std::unexpected(stream.error());
    rows.stream = *stream;
    out.accepted += static_cast<int64_t>(rows.records.size());
    out.BatchOf(resource.node).logs.push_back(std::move(rows));
  }
  return out;
}

}  // namespace faultline::otlp
