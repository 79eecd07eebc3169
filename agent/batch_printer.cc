#include "agent/batch_printer.h"

#include <google/protobuf/util/json_util.h>

#include <boost/json.hpp>
#include <cmath>

#include "common/text.h"

namespace faultline {
namespace {

namespace json = boost::json;

template <typename Labels>
json::object AsObject(const Labels& labels) {
  json::object object;
  for (const v1::Label& label : labels) object[label.name()] = label.value();
  return object;
}

// JSON has no NaN and no infinity: those are strings.
json::value AsNumber(double value) {
  if (!std::isfinite(value)) return json::string(FormatDouble(value));
  return json::value(value);
}

}  // namespace

Result<void> BatchPrinter::Put(Lane lane, v1::Batch& batch, uint64_t /*records*/) {
  for (const v1::SeriesDefinition& definition : batch.series()) {
    series_[definition.ref()] =
        fmt::format(R"("name":{},"labels":{})", json::serialize(json::string(definition.name())),
                    json::serialize(AsObject(definition.labels())));
  }
  Streams& streams = streams_[lane];
  for (const v1::LogStreamDefinition& definition : batch.log_streams()) {
    streams[definition.ref()] = json::serialize(AsObject(definition.labels()));
  }
  for (const v1::SampleFrame& frame : batch.frames()) PrintFrame(frame);
  for (const v1::LogFrame& frame : batch.logs()) PrintLogs(frame, streams);
  for (const v1::Span& span : batch.spans()) PrintMessage("span", span);
  for (const v1::Event& event : batch.events()) PrintMessage("event", event);
  for (const v1::FaultTransition& fault : batch.faults()) PrintMessage("fault", fault);
  for (const v1::CheckResult& check : batch.checks()) PrintMessage("check", check);
  if (batch.has_inventory()) PrintMessage("inventory", batch.inventory());
  std::fflush(out_);
  return {};
}

Result<void> BatchPrinter::StartSession() {
  series_.clear();
  streams_.clear();
  return {};
}

void BatchPrinter::PrintFrame(const v1::SampleFrame& frame) {
  int64_t ref = 0;
  for (int i = 0; i < frame.values_size(); ++i) {
    ref += frame.ref_deltas(i);
    fmt::print(out_, "{{\"kind\":\"sample\",\"time\":\"{}\",{},\"value\":{}}}\n",
               FormatTime(frame.time_unix_ms() * kNsPerMs), series_[static_cast<uint32_t>(ref)],
               json::serialize(AsNumber(frame.values(i))));
  }
}

void BatchPrinter::PrintLogs(const v1::LogFrame& frame, const Streams& streams) {
  const auto stream = streams.find(frame.stream_ref());
  for (const v1::LogRecord& record : frame.records()) {
    fmt::print(out_, "{{\"kind\":\"log\",\"time\":\"{}\",\"stream\":{},\"severity\":{},\"body\":{},\"attributes\":{}}}\n",
               FormatTime(record.time_unix_ns()), stream == streams.end() ? "{}" : stream->second,
               static_cast<int>(record.severity()), json::serialize(json::string(record.body())),
               json::serialize(AsObject(record.attributes())));
  }
}

void BatchPrinter::PrintMessage(const char* kind, const google::protobuf::Message& message) {
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  std::string text;
  if (!google::protobuf::util::MessageToJsonString(message, &text, options).ok()) text = "{}";
  fmt::print(out_, "{{\"kind\":\"{}\",\"{}\":{}}}\n", kind, kind, text);
}

}  // namespace faultline
