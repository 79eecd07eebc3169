// Events, fault transitions, results of checks and spans by time, spans also by trace, and small documents by name.
// Rows are rows of RocksDB; there are few of them beside samples and log lines. Stage belongs to
// the commit thread, all else to any.
#pragma once

#include <string>
#include <functional>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "aggregator/store/engine.h"
#include "aggregator/store/store.h"

namespace faultline::store {

class RecordStore {
 public:
  explicit RecordStore(Engine& engine);

  void Stage(const AppendBatch& batch, rocksdb::WriteBatch& write);
  Result<void> Retain(int64_t oldest_unix_ns);

  // [begin, end) in order of time; of more than the limit, the newest.
  Result<std::vector<StoredEvent>> Events(int64_t begin_unix_ns, int64_t end_unix_ns,
                                          size_t max_events) const;
  Result<std::vector<StoredFault>> Faults(int64_t begin_unix_ns, int64_t end_unix_ns) const;
  Result<std::vector<StoredCheck>> Checks(int64_t begin_unix_ns, int64_t end_unix_ns,
                                          size_t max_results) const;
  Result<std::vector<StoredCheck>> CheckHistory(std::string_view node, std::string_view rule,
                                                int64_t begin_unix_ns, int64_t end_unix_ns,
                                                size_t max_results) const;
  Result<std::vector<StoredSpan>> Spans(int64_t begin_unix_ns, int64_t end_unix_ns,
                                        size_t max_spans) const;
  Result<void> ScanSpans(const SpanQuery& query,
                         const std::function<bool(const StoredSpan&)>& visit) const;
  Result<std::vector<SpanOperation>> SpanOperations(std::string_view service,
                                                    int64_t begin_unix_ns,
                                                    int64_t end_unix_ns) const;
  Result<std::vector<StoredSpan>> Trace(std::string_view trace_id) const;

  Result<void> PutDocument(std::string_view kind, std::string_view name, std::string_view text);
  Result<std::string> GetDocument(std::string_view kind, std::string_view name) const;
  Result<void> DeleteDocument(std::string_view kind, std::string_view name);
  Result<std::vector<std::pair<std::string, std::string>>> ListDocuments(
      std::string_view kind) const;

 private:
  // A number that no other row has; the same for the same row of the same batch.
  uint64_t UniqueOf(const AppendBatch& batch, size_t place);
  void StageSpan(const AppendBatch& batch, const v1::Span& span, uint64_t unique,
                 rocksdb::WriteBatch& write);

  Engine& engine_;
  uint64_t seed_;  // for batches without a session
  uint64_t pushes_ = 0;
  std::unordered_set<std::string> operations_;  // keys lately written, so that few are written twice
};

}  // namespace faultline::store
