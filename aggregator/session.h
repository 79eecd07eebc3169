// One agent session as ingest sees it: its dictionary (references to the store's ids) and how far it has come. Pure
// translation of validated batches; no I/O but the store's interning.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "aggregator/store/store.h"
#include "common/result.h"
#include "faultline/v1/control.pb.h"

namespace faultline {

struct SessionLimits {
  uint32_t max_series_per_node = 100'000;
  int64_t oldest_ms = 0;   // samples outside [oldest_ms, newest_ms] are left out and counted
  int64_t newest_ms = 0;
};

// What was left out of a batch, and why.
struct SessionDrops {
  uint64_t series_limit = 0;     // samples of series beyond the node's limit
  uint64_t out_of_range = 0;     // samples too old or too far in the future
  uint64_t otlp = 0;             // points, records and spans of forwarded OTLP that cannot be stored
};

class Session {
 public:
  Session(std::string node, uint64_t session, SessionDictionary dictionary);

  // Adds definitions that the aggregator lacks; known ones are skipped. They become durable with the next batch.
  Result<void> Define(const v1::Definitions& definitions, Store* store, const SessionLimits& limits);
  // Validates and translates: kCorruption (bad batch) or kNotFound (a reference nobody defined). Good definitions of
  // a bad batch stay.
  Result<AppendBatch> Translate(v1::Batch&& batch, Store* store, const SessionLimits& limits,
                                SessionDrops* drops);

  uint64_t id() const { return session_; }
  uint32_t series_known() const { return static_cast<uint32_t>(series_.size()); }
  uint32_t streams_known() const { return static_cast<uint32_t>(streams_.size()); }
  uint64_t committed_sequence = 0;
  uint64_t queued_sequence = 0;   // highest handed to the store
  uint32_t in_flight = 0;

 private:
  Result<void> DefineSeries(const v1::SeriesDefinition& definition, Store* store,
                            const SessionLimits& limits);
  Result<void> DefineStream(const v1::LogStreamDefinition& definition, Store* store);
  Result<void> TranslateFrame(const v1::SampleFrame& frame, const SessionLimits& limits,
                              SessionDrops* drops, AppendBatch* out) const;

  const std::string node_;
  const uint64_t session_;
  std::vector<SeriesId> series_;  // [ref - 1]; 0: refused for the limit
  std::vector<StreamId> streams_;
  // Definitions that no appended batch carries yet.
  std::vector<std::pair<uint32_t, SeriesId>> new_series_;
  std::vector<std::pair<uint32_t, StreamId>> new_streams_;
};

}  // namespace faultline
