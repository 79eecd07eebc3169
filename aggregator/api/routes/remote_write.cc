// Remote write 1.0: a snappy block holding a RemoteWriteRequest. Answers 204 once the samples are
// durable; 4xx for what will never be accepted, 5xx for what may be sent again.
#include "aggregator/api/routes/remote_write.h"

#include <snappy.h>

#include <bit>

#include "aggregator/api/routes/append_and_wait.h"
#include "aggregator/api/routes/query_request.h"
#include "aggregator/api/routes/routes.h"
#include "aggregator/api/routes/wire_reader.h"
#include "aggregator/query/promql_parser.h"
#include "common/text.h"

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

Error NotARequest() {
  return {ErrorCode::kInvalidArgument, "the body is not a protobuf WriteRequest"};
}

bool ReadSample(std::string_view message, Sample& sample) {
  WireReader in(message);
  while (in.Next()) {
    if (in.field() == 1 && in.is_fixed64()) sample.value = std::bit_cast<double>(in.number());
    if (in.field() == 2 && in.is_varint()) sample.time_ms = static_cast<int64_t>(in.number());
  }
  return !in.failed();
}

// Labels usually lie in one piece before the samples; where they do not, they are gathered in
// `scratch`.
bool ReadSeries(std::string_view message, WrittenSeries& series, std::string& scratch) {
  series.labels = {};
  series.samples.clear();
  scratch.clear();
  WireReader in(message);
  while (in.Next()) {
    if (in.field() == 1 && in.is_bytes()) {
      const std::string_view field = in.whole_field();
      if (scratch.empty() &&
          (series.labels.empty() || series.labels.data() + series.labels.size() == field.data())) {
        const char* begin = series.labels.empty() ? field.data() : series.labels.data();
        series.labels = {begin, static_cast<size_t>(field.data() + field.size() - begin)};
        continue;
      }
      if (scratch.empty()) scratch = series.labels;
      scratch += field;
    } else if (in.field() == 2 && in.is_bytes()) {
      if (!ReadSample(in.bytes(), series.samples.emplace_back())) return false;
    }
  }
  if (!scratch.empty()) series.labels = scratch;
  return !in.failed();
}

}  // namespace

Result<std::string> UncompressRemoteWrite(std::string_view body) {
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
  return decoded;
}

Result<void> ReadRemoteWrite(
    std::string_view request, const std::function<Result<void>(const WrittenSeries&)>& series,
    const std::function<Result<void>(const v1::RemoteMetadata&)>& metadata) {
  WireReader in(request);
  WrittenSeries one;
  std::string scratch;
  while (in.Next()) {
    if (in.field() == 1 && in.is_bytes()) {
      if (!ReadSeries(in.bytes(), one, scratch)) return std::unexpected(NotARequest());
      FAULTLINE_TRY(series(one));
    } else if (in.field() == 3 && in.is_bytes()) {
      v1::RemoteMetadata description;
      if (!description.ParseFromArray(in.bytes().data(), static_cast<int>(in.bytes().size())))
        return std::unexpected(NotARequest());
      FAULTLINE_TRY(metadata(description));
    }
  }
  if (in.failed()) return std::unexpected(NotARequest());
  return {};
}

Result<Labels> LabelsOfWritten(std::string_view encoded) {
  Labels labels;
  WireReader fields(encoded);
  while (fields.Next()) {
    if (!fields.is_bytes()) return std::unexpected(NotARequest());
    WireReader in(fields.bytes());
    std::string_view name, value;
    while (in.Next()) {
      if (in.field() == 1 && in.is_bytes()) name = in.bytes();
      if (in.field() == 2 && in.is_bytes()) value = in.bytes();
    }
    if (in.failed()) return std::unexpected(NotARequest());
    if (!promql::IsLabelName(name)) {
      return Fail(ErrorCode::kInvalidArgument, "invalid label name {}", promql::Quote(name));
    }
    if (!IsValidUtf8(value)) {
      return Fail(ErrorCode::kInvalidArgument, "value of label {} is not UTF-8",
                  promql::Quote(name));
    }
    if (!value.empty()) labels.emplace_back(name, value);
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

Result<Reply> RemoteWrite(const Request& request, ApiContext& context) {
  FAULTLINE_ASSIGN(const std::string decoded, UncompressRemoteWrite(request.body));
  AppendBatch batch;
  const auto take = [&](const WrittenSeries& series) -> Result<void> {
    FAULTLINE_ASSIGN(const SeriesId id, context.store->InternEncoded(series.labels, [&] {
      return LabelsOfWritten(series.labels);
    }));
    for (const Sample& sample : series.samples) {
      batch.samples.push_back({id, sample.time_ms, sample.value});
    }
    return {};
  };
  const auto describe = [&](const v1::RemoteMetadata& metadata) -> Result<void> {
    const SeriesMeta meta{TypeOf(metadata.type()), metadata.help()};
    context.store->DescribeMetric(metadata.family(), meta);
    // Histograms and summaries have no series of the family's own name: they are known by their counts.
    if (meta.type == v1::METRIC_TYPE_HISTOGRAM || meta.type == v1::METRIC_TYPE_SUMMARY)
      context.store->DescribeMetric(metadata.family() + "_count", meta);
    return {};
  };
  if (const auto read = ReadRemoteWrite(decoded, take, describe); !read) {
    // As receivers say it that want the sender to slow down.
    if (read.error().code == ErrorCode::kResourceExhausted)
      return Failure(429, "too_many_requests", read.error().message);
    return std::unexpected(read.error());
  }
  if (!batch.samples.empty()) {
    FAULTLINE_TRY(AppendAndWait(context, request, std::move(batch)));
  }
  Reply reply;
  reply.status = 204;
  return reply;
}

}  // namespace faultline::routes
