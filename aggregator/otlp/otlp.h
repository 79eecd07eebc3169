// OTLP's three signals to batches for the store. Everything here is a pure function of its arguments
// and the store's dictionary; the HTTP side is in api/routes/otlp.cc.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "aggregator/store/store.h"
#include "common/result.h"
#include "faultline/v1/otlp.pb.h"

namespace faultline::otlp {

enum class Encoding { kProtobuf, kJson };

// kInvalidArgument for what is no such message. JSON follows OTLP's rules: ids in hexadecimal, unknown
// members ignored, integers as numbers or texts.
Result<v1::ExportMetricsServiceRequest> DecodeMetrics(std::string_view body, Encoding encoding);
Result<v1::ExportLogsServiceRequest> DecodeLogs(std::string_view body, Encoding encoding);
Result<v1::ExportTraceServiceRequest> DecodeTraces(std::string_view body, Encoding encoding);
// JSON by the same rules.
Result<std::string> EncodeJson(const google::protobuf::Message& message);

// What a request became: a batch per node that sent something through it, and what was refused.
struct Translation {
  std::vector<AppendBatch> batches;
  int64_t accepted = 0;
  int64_t rejected = 0;
  std::string reason;  // of the first refusal

  void Reject(int64_t count, std::string_view why);
  AppendBatch& BatchOf(std::string_view node);
};

// An error is the store's (it cannot take anything now); what a client did wrong is in `rejected`.
Result<Translation> TranslateMetrics(const v1::ExportMetricsServiceRequest& request, Store& store,
                                     int64_t now_unix_ns);
Result<Translation> TranslateLogs(const v1::ExportLogsServiceRequest& request, Store& store,
                                  int64_t now_unix_ns);
Translation TranslateTraces(const v1::ExportTraceServiceRequest& request);

// Spans as OTLP has them, grouped by resource and scope: what Tempo's API answers with.
v1::Trace MakeTrace(const std::vector<StoredSpan>& spans);

}  // namespace faultline::otlp
