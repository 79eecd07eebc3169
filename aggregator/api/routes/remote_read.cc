// Remote read 1.0, the response type SAMPLES: what a Prometheus asks when we are its remote_read. Stale markers go
// along, so that its evaluation sees what ours would.
#include "aggregator/api/routes/remote_read.h"

#include <snappy.h>

#include <algorithm>

#include "aggregator/api/routes/query_request.h"
#include "aggregator/api/routes/routes.h"
#include "aggregator/query/promql_parser.h"
#include "aggregator/store/store.h"

namespace faultline::routes {
namespace {

constexpr size_t kMaxDecodedBytes = 4u << 20;
constexpr int kMaxQueries = 100;

Result<std::vector<LabelMatcher>> MatchersOf(const v1::RemoteQuery& query) {
  std::vector<LabelMatcher> matchers;
  for (const v1::RemoteMatcher& from : query.matchers()) {
    LabelMatcher matcher{static_cast<LabelMatcher::Op>(from.type()), from.name(), from.value()};
    if (from.type() < v1::RemoteMatcher::EQUAL || from.type() > v1::RemoteMatcher::NOT_MATCHES)
      return Fail(ErrorCode::kInvalidArgument, "a matcher of type {} is not known", static_cast<int>(from.type()));
    if (from.type() >= v1::RemoteMatcher::MATCHES) FAULTLINE_TRY(promql::CheckRegex(from.value()));
    matchers.push_back(std::move(matcher));
  }
  return matchers;
}

// `left` samples may still be read.
Result<void> ReadOne(const v1::RemoteQuery& query, const Request& request, ApiContext& context, uint64_t& left,
                     v1::RemoteResult* result) {
  FAULTLINE_ASSIGN(const std::vector<LabelMatcher> matchers, MatchersOf(query));
  const auto source = SourceOf(context);
  FAULTLINE_ASSIGN(const std::vector<SeriesId> ids, source->Select(matchers, query.start_unix_ms(), query.end_unix_ms()));
  std::vector<std::pair<Labels, SeriesId>> sorted;
  for (const SeriesId id : ids) {
    FAULTLINE_ASSIGN(Labels labels, source->LabelsOf(id));
    sorted.emplace_back(std::move(labels), id);
  }
  std::ranges::sort(sorted);
  for (const auto& [labels, id] : sorted) {
    if (request.deadline_steady_ns != 0 && context.clock->SteadyNs() > request.deadline_steady_ns)
      return Fail(ErrorCode::kTimeout, "remote read timed out");
    FAULTLINE_ASSIGN(const std::vector<Sample> samples, source->Fetch(id, query.start_unix_ms(), query.end_unix_ms()));
    if (samples.empty()) continue;
    if (samples.size() > left) {
      return Fail(ErrorCode::kResourceExhausted, "remote read would load more than query.max_samples={} samples",
                  context.max_samples);
    }
    left -= samples.size();
    v1::RemoteSeries* series = result->add_series();
    for (const auto& [name, value] : labels) {
      v1::Label* label = series->add_labels();
      label->set_name(name);
      label->set_value(value);
    }
    for (const Sample& sample : samples) {
      v1::RemoteSample* to = series->add_samples();
      to->set_time_unix_ms(sample.time_ms);
      to->set_value(sample.value);
    }
  }
  return {};
}

}  // namespace

Result<v1::RemoteReadRequest> DecodeRemoteRead(std::string_view body) {
  size_t decoded_bytes = 0;
  std::string decoded;
  if (!snappy::GetUncompressedLength(body.data(), body.size(), &decoded_bytes) || decoded_bytes > kMaxDecodedBytes ||
      !snappy::Uncompress(body.data(), body.size(), &decoded)) {
    return Fail(ErrorCode::kInvalidArgument, "not a snappy block of at most {} bytes", kMaxDecodedBytes);
  }
  v1::RemoteReadRequest request;
  if (!request.ParseFromString(decoded)) return Fail(ErrorCode::kInvalidArgument, "the body is not a protobuf ReadRequest");
  if (request.queries_size() > kMaxQueries) return Fail(ErrorCode::kInvalidArgument, "more than {} queries", kMaxQueries);
  return request;
}

Result<Reply> RemoteRead(const Request& request, ApiContext& context) {
  FAULTLINE_ASSIGN(const v1::RemoteReadRequest read, DecodeRemoteRead(request.body));
  const auto& accepted = read.accepted_response_types();
  if (!accepted.empty() && std::ranges::find(accepted, v1::RemoteReadRequest::SAMPLES) == accepted.end())
    return Fail(ErrorCode::kInvalidArgument, "only the response type SAMPLES is answered");
  v1::RemoteReadResponse response;
  uint64_t left = context.max_samples;
  for (const v1::RemoteQuery& query : read.queries()) {
    FAULTLINE_TRY(ReadOne(query, request, context, left, response.add_results()));
  }
  const std::string encoded = response.SerializeAsString();
  Reply reply;
  reply.content_type = "application/x-protobuf";
  reply.headers.emplace_back("Content-Encoding", "snappy");
  snappy::Compress(encoded.data(), encoded.size(), &reply.body);
  return reply;
}

}  // namespace faultline::routes
