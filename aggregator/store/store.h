// What the aggregator keeps, in domain words. Everything above this line is the same whichever engine stands
// behind it; today that is RocksDB (rocksdb_store.cc, FORMAT.md). All methods are thread-safe unless they say
// otherwise. Times are UTC; samples in milliseconds (as Prometheus), everything else in nanoseconds.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/clock.h"
#include "common/result.h"
#include "faultline/v1/record.pb.h"

namespace faultline {

using SeriesId = uint64_t;  // never 0
using StreamId = uint64_t;

// Name and value pairs sorted by name; the metric's name is the label __name__.
using Labels = std::vector<std::pair<std::string, std::string>>;

std::string_view LabelValue(const Labels& labels, std::string_view name);  // empty if absent
void SortLabels(Labels& labels);
std::string FormatLabels(const Labels& labels);  // {a="b",c="d"}

// Vectors of them are resized and then filled, which is where a query that reads much spends its time: not cleared before.
struct Sample {
  Sample() noexcept {}  // both undefined
  Sample(int64_t t, double v) noexcept : time_ms(t), value(v) {}

  int64_t time_ms;
  double value;
};

// Bits of Prometheus' stale marker: a NaN that says "this series ended here".
constexpr uint64_t kStaleNanBits = 0x7ff0000000000002;
bool IsStale(double value);
double StaleMarker();

struct LabelMatcher {
  enum class Op { kEqual, kNotEqual, kMatches, kNotMatches };  // = != =~ !~ (RE2, anchored)
  Op op = Op::kEqual;
  std::string name;
  std::string value;
};

// One batch of one node, resolved to store ids, written atomically together with its watermark.
struct AppendBatch {
  struct SampleRow {
    SeriesId series = 0;
    int64_t time_ms = 0;
    double value = 0;
  };
  struct LogRows {
    StreamId stream = 0;
    uint64_t file_id = 0;  // with the offsets: stored once. 0: no such check
    uint64_t begin_offset = 0;
    uint64_t end_offset = 0;
    std::vector<v1::LogRecord> records;
  };
  std::string node;
  uint64_t session = 0;   // 0: not from an agent (remote write, push), no watermark
  uint64_t sequence = 0;
  // The sequence sent before this one. Above the session's watermark: a batch between was lost to a failed commit, so this
  // one fails too (kUnavailable) and the agent sends both again. 0 takes anything.
  uint64_t previous_sequence = 0;
  std::vector<SampleRow> samples;
  std::vector<LogRows> logs;
  std::vector<v1::Span> spans;
  std::vector<v1::Event> events;
  std::vector<v1::FaultTransition> faults;
  std::vector<v1::CheckResult> checks;
  // New definitions of the session's dictionary, kept so that a restarted aggregator understands the next batch.
  std::vector<std::pair<uint32_t, SeriesId>> series_refs;
  std::vector<std::pair<uint32_t, StreamId>> stream_refs;
};

struct SessionDictionary {
  uint64_t committed_sequence = 0;
  std::vector<SeriesId> series;   // [ref - 1]
  std::vector<StreamId> streams;  // [ref - 1]
};

// Makes the labels that an encoded key stands for.
using LabelsOfKey = std::function<Result<Labels>()>;

struct SeriesMeta {
  v1::MetricType type = v1::METRIC_TYPE_UNTYPED;
  std::string help;
};

struct LogEntry {
  int64_t time_unix_ns = 0;
  std::string body;
  v1::Severity severity = v1::SEVERITY_UNSPECIFIED;
  Labels attributes;
};

struct LogQuery {
  std::vector<LabelMatcher> matchers;
  int64_t begin_unix_ns = 0;  // inclusive
  int64_t end_unix_ns = 0;    // exclusive
  bool newest_first = true;
  // A line must contain all of these (a hint that lets the engine skip blocks; callers filter again).
  std::vector<std::string> needles;
};

struct StoredEvent {
  std::string node;
  v1::Event event;
};

struct StoredFault {
  std::string node;
  v1::FaultTransition transition;
};

struct StoredCheck {
  std::string node;
  v1::CheckResult result;
};

struct StoredSpan {
  std::string node;
  v1::Span span;
};

// Empty texts are any.
struct SpanQuery {
  std::string service;
  std::string operation;      // of that service
  int64_t begin_unix_ns = 0;  // of the span's start, inclusive
  int64_t end_unix_ns = 0;    // exclusive
};

struct SpanOperation {
  std::string service;
  std::string operation;
  int32_t kind = 0;  // OpenTelemetry SpanKind
  auto operator<=>(const SpanOperation&) const = default;
};

struct StoreStats {
  uint64_t series = 0;
  uint64_t active_series = 0;
  uint64_t samples_appended = 0;
  uint64_t samples_rejected = 0;
  uint64_t log_records = 0;
  uint64_t log_duplicates = 0;
  uint64_t bytes_on_disk = 0;
  uint64_t commits = 0;
  uint64_t damaged_reads = 0;  // stored values that could not be read and were left out of an answer
};

class Store {
 public:
  virtual ~Store() = default;

  // ---- Writing -------------------------------------------------------------------------------------------
  // The id of that series, made if new. kResourceExhausted names the limit. A new id becomes durable with the
  // first batch that uses it (or earlier).
  virtual Result<SeriesId> InternSeries(const Labels& labels, const SeriesMeta& meta) = 0;
  // The same for labels in some encoding of the caller's: `labels` is only called when this key is not remembered.
  // Keys with equal bytes must stand for equal labels.
  virtual Result<SeriesId> InternEncoded(std::string_view key, const LabelsOfKey& labels) {
    (void)key;
    FAULTLINE_ASSIGN(const Labels made, labels());
    return InternSeries(made, {});
  }
  // Type and help of a metric whose series may come apart from it.
  virtual void DescribeMetric(std::string_view metric, const SeriesMeta& meta) { (void)metric, (void)meta; }
  virtual Result<StreamId> InternStream(const Labels& labels) = 0;

  // Queues the batch; `done` is called from a store thread once data and watermark are durable (one sync for
  // all batches of a commit interval), or with the reason they are not. A batch at or below the session's
  // watermark is dropped and reported done; one whose previous_sequence is above the watermark (because an earlier
  // batch failed to commit) is refused with kUnavailable, so that a session never has a hole. Samples must not be older than the series' newest by more than
  // the out-of-order window; duplicates (same time, same value) are harmless.
  virtual void Append(AppendBatch&& batch, std::function<void(Result<void>)> done) = 0;
  // From now on `observer` gets the samples of each batch that became durable, from a store thread; it must be quick.
  // Set once, before the first Append.
  using SampleObserver = std::function<void(std::vector<AppendBatch::SampleRow>&& samples)>;
  virtual void Observe(SampleObserver /*observer*/) {}
  // Dictionary and watermark of (node, session) as last made durable or queued.
  virtual Result<SessionDictionary> Session(std::string_view node, uint64_t session) = 0;

  // ---- Samples -------------------------------------------------------------------------------------------
  // Ids of the series that match all matchers and may have samples in [begin, end].
  virtual Result<std::vector<SeriesId>> Select(std::span<const LabelMatcher> matchers, int64_t begin_ms,
                                               int64_t end_ms) = 0;
  virtual Result<Labels> LabelsOf(SeriesId series) = 0;
  virtual Result<SeriesMeta> MetaOf(SeriesId series) = 0;
  // Samples of the series in [begin, end], in order of time, stale markers included.
  virtual Result<std::vector<Sample>> Fetch(SeriesId series, int64_t begin_ms, int64_t end_ms) = 0;
  // The same for many: `take` is called once for each, with its place in `series`, in any order. Cheaper than one by one.
  using TakeSamples = std::function<Result<void>(size_t place, std::vector<Sample>& samples)>;
  virtual Result<void> FetchMany(std::span<const SeriesId> series, int64_t begin_ms, int64_t end_ms,
                                 const TakeSamples& take) {
    for (size_t i = 0; i < series.size(); ++i) {
      FAULTLINE_ASSIGN(std::vector<Sample> samples, Fetch(series[i], begin_ms, end_ms));
      FAULTLINE_TRY(take(i, samples));
    }
    return {};
  }
  virtual Result<std::vector<std::string>> LabelNames(std::span<const LabelMatcher> matchers,
                                                      int64_t begin_ms, int64_t end_ms) = 0;
  virtual Result<std::vector<std::string>> LabelValues(std::string_view name,
                                                       std::span<const LabelMatcher> matchers,
                                                       int64_t begin_ms, int64_t end_ms) = 0;
  // Metric name -> type and help.
  virtual Result<std::vector<std::pair<std::string, SeriesMeta>>> Metadata() = 0;

  // ---- Logs, events, spans, faults ------------------------------------------------------------------------
  // Calls `visit` in order of time over all matching streams until it returns false.
  virtual Result<void> ScanLogs(const LogQuery& query,
                                const std::function<bool(const Labels&, const LogEntry&)>& visit) = 0;
  virtual Result<std::vector<Labels>> LogStreams(std::span<const LabelMatcher> matchers, int64_t begin_unix_ns,
                                                 int64_t end_unix_ns) = 0;
  virtual Result<std::vector<StoredEvent>> Events(int64_t begin_unix_ns, int64_t end_unix_ns,
                                                  size_t max_events) = 0;
  virtual Result<std::vector<StoredFault>> Faults(int64_t begin_unix_ns, int64_t end_unix_ns) = 0;
  // Results of checks, by when they started; of more than the limit, the newest.
  virtual Result<std::vector<StoredCheck>> Checks(int64_t /*begin_unix_ns*/, int64_t /*end_unix_ns*/,
                                                  size_t /*max_results*/) {
    return Fail(ErrorCode::kUnsupported, "this store keeps no checks");
  }
  // Those of one node, and of one rule (or a glob) unless it is empty: finds them without reading the others.
  virtual Result<std::vector<StoredCheck>> CheckHistory(std::string_view /*node*/, std::string_view /*rule*/,
                                                        int64_t /*begin_unix_ns*/, int64_t /*end_unix_ns*/,
                                                        size_t /*max_results*/) {
    return Fail(ErrorCode::kUnsupported, "this store keeps no checks");
  }
  virtual Result<std::vector<StoredSpan>> Trace(std::string_view trace_id) = 0;
  virtual Result<std::vector<StoredSpan>> Spans(int64_t begin_unix_ns, int64_t end_unix_ns,
                                                size_t max_spans) = 0;

  // Calls `visit` with the spans that match, newest start first within a day and service, until it returns false.
  virtual Result<void> ScanSpans(const SpanQuery& /*query*/,
                                 const std::function<bool(const StoredSpan&)>& /*visit*/) {
    return Fail(ErrorCode::kUnsupported, "this store keeps no spans");
  }
  // What spans of [begin, end] (by days) were called, sorted. `service` empty: of all.
  virtual Result<std::vector<SpanOperation>> SpanOperations(std::string_view /*service*/, int64_t /*begin_unix_ns*/,
                                                            int64_t /*end_unix_ns*/) {
    return Fail(ErrorCode::kUnsupported, "this store keeps no spans");
  }

  // ---- Small documents: objects, labels, audit, rules -----------------------------------------------------
  // Durable when it returns. `kind` and `name` are free text without NUL.
  virtual Result<void> PutDocument(std::string_view kind, std::string_view name, std::string_view text) = 0;
  virtual Result<std::string> GetDocument(std::string_view kind, std::string_view name) = 0;
  virtual Result<void> DeleteDocument(std::string_view kind, std::string_view name) = 0;
  virtual Result<std::vector<std::pair<std::string, std::string>>> ListDocuments(std::string_view kind) = 0;

  // ---- Housekeeping --------------------------------------------------------------------------------------
  // Drops whole time shards older than that.
  virtual Result<void> Retain(int64_t oldest_unix_ns) = 0;
  // A consistent copy in `folder`, made while writing goes on.
  virtual Result<void> Snapshot(const std::string& folder) = 0;
  // Reads everything on disk against its checksums; names what is damaged, empty if nothing is. Slow, changes nothing.
  virtual Result<std::vector<std::string>> Verify() {
    return Fail(ErrorCode::kUnsupported, "this store cannot verify itself");
  }
  virtual StoreStats Stats() const = 0;
};

struct StoreOptions {
  std::string folder;
  int64_t retention_ns = 15 * 86400 * kNsPerSecond;
  int64_t commit_interval_ns = 10 * kNsPerMs;
  int64_t out_of_order_ms = 10 * 60 * 1000;
  uint64_t max_series = 2'000'000;
  // When so much has been logged, the heads are saved little by little, and the older log goes. Bounds the restart.
  uint64_t log_round_bytes = 64 << 20;
};

Result<std::unique_ptr<Store>> OpenRocksDbStore(const StoreOptions& options, const Clock* clock);

}  // namespace faultline
