// Remote write 1.0: a snappy block holding a RemoteWriteRequest. Answers 204 once the samples are
// durable; 4xx for what will never be accepted, 5xx for what may be sent again.
#include "aggregator/api/routes/remote_write.h"

#include <snappy.h>

#include <unordered_map>

#include "aggregator/api/routes/append_and_wait.h"
#include "aggregator/api/routes/routes.h"
#include "aggregator/query/promql_parser.h"
#include "aggregator/store/store.h"

namespace faultline::routes {
namespace {

constexpr size_t kMaxDecodedBytes = 64u << 20;

v1::MetricType TypeOf(v1::RemoteMetadata::Type type) {
  switch (type) {
    case v1::RemoteMetadata::COUNTER:
      return v1::METRIC_TYPE_COUNTER;
    case v1::RemoteMetadata::GAUGE:
      return v1::METRIC_TYPE_GAUGE;
    case v1::RemoteMetadata::HISTOGRAM:
      return v1::METRIC_TYPE_HISTOGRAM;
    case v1::RemoteMetadata::SUMMARY:
      return v1::METRIC_TYPE_SUMMARY;
    default:
      return v1::METRIC_TYPE_UNTYPED;
  }
}

Result<Labels> LabelsOf(const v1::RemoteSeries& series) {
  Labels labels;
  labels.reserve(static_cast<size_t>(series.labels_size()));
  for (const v1::Label& label : series.labels()) {
    if (!promql::IsLabelName(label.name())) {
      return Fail(ErrorCode::kInvalidArgument, "invalid label name {}",
                  promql::Quote(label.name()));
    }
    if (!label.value().empty()) labels.emplace_back(label.name(), label.value());
  }
  SortLabels(labels);
  for (size_t i = 1; i < labels.size(); ++i) {
    if (labels[i].first == labels[i - 1].first) {
      return Fail(ErrorCode::kInvalidArgument, "label name {} is not unique",
                  promql::Quote(labels[i].first));
    }
  }
  if (labels.empty()) return Fail(ErrorCode::kInvalidArgument, "a series without labels");
  return labels;
}

}  // namespace

Result<v1::RemoteWriteRequest> DecodeRemoteWrite(std::string_view body) {
  size_t decoded_bytes = 0;
  if (!snappy::GetUncompressedLength(body.data(), body.size(), &decoded_bytes)) {
    return Fail(ErrorCode::kInvalidArgument, "snappy: corrupt input");
  }
  if (decoded_bytes > kMaxDecodedBytes) {
    return Fail(ErrorCode::kInvalidArgument,
                "the request is {} bytes when decoded, the limit is {}", decoded_bytes,
                kMaxDecodedBytes);
  }
  std::string decoded;
  if (!snappy::Uncompress(body.data(), body.size(), &decoded)) {
    return Fail(ErrorCode::kInvalidArgument, "snappy: corrupt input");
  }
  v1::RemoteWriteRequest request;
  if (!request.ParseFromString(decoded)) {
    return Fail(ErrorCode::kInvalidArgument, "the body is not a protobuf WriteRequest");
  }
  return request;
}

Result<Reply> RemoteWrite(const Request& request, ApiContext& context) {
  FAULTLINE_ASSIGN(const v1::RemoteWriteRequest write, DecodeRemoteWrite(request.body));
  std::unordered_map<std::string, SeriesMeta> families;
  for (const v1::RemoteMetadata& metadata : write.metadata()) {
    families[metadata.family()] = {TypeOf(metadata.type()), metadata.help()};
  }
  AppendBatch batch;
  for (const v1::RemoteSeries& series : write.series()) {
    FAULTLINE_ASSIGN(const Labels labels, LabelsOf(series));
    SeriesMeta meta;
    if (const auto known = families.find(std::string(LabelValue(labels, "__name__")));
        known != families.end()) {
      meta = known->second;
    }
    FAULTLINE_ASSIGN(const SeriesId id, context.store->InternSeries(labels, meta));
    for (const v1::RemoteSample& sample : series.samples()) {
      batch.samples.push_back({id, sample.time_unix_ms(), sample.value()});
    }
  }
  if (!batch.samples.empty()) {
    FAULTLINE_TRY(AppendAndWait(context, request, std::move(batch)));
  }
  Reply reply;
  reply.status = 204;
  return reply;
}

}  // namespace faultline::routes
