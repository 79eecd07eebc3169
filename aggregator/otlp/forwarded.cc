#include <iterator>

#include "aggregator/otlp/otlp.h"

namespace faultline::otlp {
namespace {

using faultline::v1::OtlpRequest;

constexpr std::string_view kNodeAttribute = "k8s.node.name";

template <typename Resources>
void SetNode(Resources* resources, const std::string& node) {
  for (auto& each : *resources) {
    auto* attributes = each.mutable_resource()->mutable_attributes();
    for (int i = attributes->size(); i-- > 0;) {
      if (attributes->Get(i).key() == kNodeAttribute) attributes->DeleteSubrange(i, 1);
    }
    v1::KeyValue* pair = attributes->Add();
    pair->set_key(std::string(kNodeAttribute));
    pair->mutable_value()->set_string_value(node);
  }
}

Result<Translation> Translate(const OtlpRequest& request, const std::string& node, Store& store) {
  switch (request.signal_case()) {
    case OtlpRequest::kMetrics: {
      FAULTLINE_ASSIGN(auto decoded, DecodeMetrics(request.metrics(), Encoding::kProtobuf));
      SetNode(decoded.mutable_resource_metrics(), node);
      return TranslateMetrics(decoded, store, request.received_unix_ns());
    }
    case OtlpRequest::kLogs: {
      FAULTLINE_ASSIGN(auto decoded, DecodeLogs(request.logs(), Encoding::kProtobuf));
      SetNode(decoded.mutable_resource_logs(), node);
      return TranslateLogs(decoded, store, request.received_unix_ns());
    }
    case OtlpRequest::kTraces: {
      FAULTLINE_ASSIGN(auto decoded, DecodeTraces(request.traces(), Encoding::kProtobuf));
      SetNode(decoded.mutable_resource_spans(), node);
      return TranslateTraces(decoded);
    }
    case OtlpRequest::SIGNAL_NOT_SET:
      break;
  }
  return Fail(ErrorCode::kInvalidArgument, "a forwarded request without a signal");
}

template <typename Rows>
void Move(Rows& from, Rows* to) {
  to->insert(to->end(), std::make_move_iterator(from.begin()), std::make_move_iterator(from.end()));
}

}  // namespace

void Merge(AppendBatch&& from, AppendBatch* into) {
  Move(from.samples, &into->samples);
  Move(from.logs, &into->logs);
  Move(from.spans, &into->spans);
  Move(from.events, &into->events);
}

Result<int64_t> AddForwarded(const google::protobuf::RepeatedPtrField<OtlpRequest>& requests,
                             const std::string& node, Store& store, AppendBatch* rows) {
  int64_t rejected = 0;
  for (const OtlpRequest& request : requests) {
    Result<Translation> translation = Translate(request, node, store);
    if (!translation) {
      const bool unreadable = translation.error().code == ErrorCode::kInvalidArgument;
      return Fail(unreadable ? ErrorCode::kCorruption : translation.error().code, "otlp: {}",
                  translation.error().message);
    }
    rejected += translation->rejected;
    for (AppendBatch& batch : translation->batches) {
      Merge(std::move(batch), rows);
    }
  }
  return rejected;
}

}  // namespace faultline::otlp
