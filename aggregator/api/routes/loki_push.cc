// Loki's push: JSON, or a snappy block holding a LokiPushRequest. Answers 204 once the lines are
// durable; one bad stream refuses the whole request, so that nothing is written by halves.
#include <snappy.h>

#include <boost/json.hpp>

#include "aggregator/api/routes/append_and_wait.h"
#include "aggregator/api/routes/routes.h"
#include "aggregator/query/logql.h"
#include "aggregator/query/promql_parser.h"
#include "aggregator/store/store.h"
#include "common/text.h"
#include "faultline/v1/loki.pb.h"

namespace faultline::routes {
namespace {

namespace json = boost::json;

constexpr size_t kMaxDecodedBytes = 64u << 20;
constexpr size_t kMaxLineBytes = 1u << 20;

// Collects what a request holds; streams are interned last, when everything is known to be valid.
class PushedLogs {
 public:
  Result<void> BeginStream(Labels labels) {
    if (labels.empty())
      return Fail(ErrorCode::kInvalidArgument, "a stream needs at least one label");
    SortLabels(labels);
    for (size_t i = 0; i < labels.size(); ++i) {
      if (!promql::IsLabelName(labels[i].first)) {
        return Fail(ErrorCode::kInvalidArgument, "invalid label name {}",
                    promql::Quote(labels[i].first));
      }
      if (i > 0 && labels[i].first == labels[i - 1].first) {
        return Fail(ErrorCode::kInvalidArgument, "label name {} is not unique",
                    promql::Quote(labels[i].first));
      }
    }
    streams_.push_back({std::move(labels), {}});
    return {};
  }

  Result<v1::LogRecord*> AddLine(int64_t time_unix_ns, std::string_view line) {
    if (line.size() > kMaxLineBytes) {
      return Fail(ErrorCode::kInvalidArgument,
                  "a line of {} bytes is longer than the limit of {} bytes", line.size(),
                  kMaxLineBytes);
    }
    v1::LogRecord& record = streams_.back().second.emplace_back();
    record.set_time_unix_ns(time_unix_ns);
    record.set_body(ReplaceInvalidUtf8(line));
    return &record;
  }

  Result<void> Write(ApiContext& context, const Request& request) {
    AppendBatch batch;
    for (auto& [labels, records] : streams_) {
      if (records.empty()) continue;
      FAULTLINE_ASSIGN(const StreamId stream, context.store->InternStream(labels));
      AppendBatch::LogRows rows;
      rows.stream = stream;
      rows.records = std::move(records);
      batch.logs.push_back(std::move(rows));
    }
    if (batch.logs.empty()) return {};
    return AppendAndWait(context, request, std::move(batch));
  }

 private:
  std::vector<std::pair<Labels, std::vector<v1::LogRecord>>> streams_;
};

std::string_view TextOf(const json::value& value) {
  return value.is_string() ? std::string_view(value.get_string()) : std::string_view();
}

std::unexpected<Error> BadJson(std::string_view what) {
  return Fail(ErrorCode::kInvalidArgument, "push: {}", what);
}

Result<void> ReadJsonEntry(const json::value& value, PushedLogs& logs) {
  if (!value.is_array() || value.get_array().size() < 2)
    return BadJson("an entry must be [\"<ns>\", \"<line>\"]");
  const json::array& entry = value.get_array();
  const auto time_ns = ParseInt(TextOf(entry[0]));
  if (!time_ns || !entry[1].is_string()) return BadJson("an entry must be [\"<ns>\", \"<line>\"]");
  FAULTLINE_ASSIGN(v1::LogRecord* const record, logs.AddLine(*time_ns, TextOf(entry[1])));
  if (entry.size() < 3) return {};
  if (!entry[2].is_object()) return BadJson("an entry's metadata must be an object");
  for (const auto& member : entry[2].get_object()) {
    v1::Label* label = record->add_attributes();
    label->set_name(std::string(member.key()));
    label->set_value(std::string(TextOf(member.value())));
  }
  return {};
}

Result<void> ReadJson(std::string_view body, PushedLogs& logs) {
  json::error_code error;
  const json::value document = json::parse({body.data(), body.size()}, error);
  if (error) return BadJson(error.message());
  const json::object* object = document.if_object();
  const json::value* streams = object == nullptr ? nullptr : object->if_contains("streams");
  if (streams == nullptr || !streams->is_array()) return BadJson("streams must be a list");
  for (const json::value& value : streams->get_array()) {
    const json::object* stream = value.if_object();
    const json::value* labels_value = stream == nullptr ? nullptr : stream->if_contains("stream");
    const json::value* values = stream == nullptr ? nullptr : stream->if_contains("values");
    if (labels_value == nullptr || !labels_value->is_object() || values == nullptr ||
        !values->is_array()) {
      return BadJson("a stream needs an object \"stream\" and a list \"values\"");
    }
    Labels labels;
    for (const auto& member : labels_value->get_object()) {
      if (!member.value().is_string()) return BadJson("a label's value must be a string");
      labels.emplace_back(member.key(), TextOf(member.value()));
    }
    FAULTLINE_TRY(logs.BeginStream(std::move(labels)));
    for (const json::value& entry : values->get_array()) FAULTLINE_TRY(ReadJsonEntry(entry, logs));
  }
  return {};
}

Result<void> ReadProtobuf(std::string_view body, PushedLogs& logs) {
  size_t bytes = 0;
  std::string decoded;
  if (!snappy::GetUncompressedLength(body.data(), body.size(), &bytes) ||
      bytes > kMaxDecodedBytes || !snappy::Uncompress(body.data(), body.size(), &decoded)) {
    return Fail(ErrorCode::kInvalidArgument, "push: not a snappy block of at most {} bytes",
                kMaxDecodedBytes);
  }
  v1::LokiPushRequest push;
  if (!push.ParseFromString(decoded))
    return Fail(ErrorCode::kInvalidArgument, "push: not a protobuf PushRequest");
  for (const v1::LokiStream& stream : push.streams()) {
    FAULTLINE_ASSIGN(const std::vector<LabelMatcher> matchers,
                     LogQlQuery::ParseSelector(stream.labels()));
    Labels labels;
    for (const LabelMatcher& matcher : matchers) labels.emplace_back(matcher.name, matcher.value);
    FAULTLINE_TRY(logs.BeginStream(std::move(labels)));
    for (const v1::LokiEntry& entry : stream.entries()) {
      const int64_t time_ns =
          entry.timestamp().seconds() * kNsPerSecond + entry.timestamp().nanos();
      FAULTLINE_ASSIGN(v1::LogRecord* const record, logs.AddLine(time_ns, entry.line()));
      *record->mutable_attributes() = entry.structured_metadata();
    }
  }
  return {};
}

}  // namespace

Result<Reply> LokiPush(const Request& request, ApiContext& context) {
  PushedLogs logs;
  if (request.Header("content-type").starts_with("application/json")) {
    FAULTLINE_TRY(ReadJson(request.body, logs));
  } else {
    FAULTLINE_TRY(ReadProtobuf(request.body, logs));
  }
  FAULTLINE_TRY(logs.Write(context, request));
  Reply reply;
  reply.status = 204;
  return reply;
}

}  // namespace faultline::routes
