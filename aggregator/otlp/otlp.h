// OTLP's three signals to batches for the store. Everything here is a pure function of its
// arguments and the store's dictionary; the HTTP side is in api/routes/otlp.cc.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "aggregator/store/store.h"
#include "common/otlp.h"
#include "common/result.h"
#include "faultline/v1/otlp.pb.h"

namespace faultline::otlp {

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

// Adds what an agent forwarded in its batch to the batch's rows. It is the node's own, whatever the
// resources say of theirs. Returns how many points, records and spans were refused. kCorruption: a
// request that does not parse.
Result<int64_t> AddForwarded(
    const google::protobuf::RepeatedPtrField<faultline::v1::OtlpRequest>& requests,
    const std::string& node, Store& store, AppendBatch* rows);
// Appends the rows of one to the other's.
void Merge(AppendBatch&& from, AppendBatch* into);

// Spans as OTLP has them, grouped by resource and scope: what Tempo's API answers with.
v1::Trace MakeTrace(const std::vector<StoredSpan>& spans);

}  // namespace faultline::otlp
