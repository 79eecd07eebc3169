// The Store on RocksDB: parts that each keep one kind of thing, and one committer that writes for
// all of them. FORMAT.md says what lies on disk.
#include "aggregator/store/committer.h"
#include "aggregator/store/engine.h"
#include "aggregator/store/keys.h"
#include "aggregator/store/log_store.h"
#include "aggregator/store/records.h"
#include "aggregator/store/samples.h"
#include "aggregator/store/sessions.h"
#include "aggregator/store/store.h"

namespace faultline {
namespace store {
namespace {

constexpr std::string_view kFormatVersion = "2";

Result<void> CheckVersion(Engine& engine) {
  const std::string key(1, kVersionKey);
  const auto version = engine.Get(Family::kMeta, key);
  if (version) {
    if (*version == kFormatVersion) return {};
    return Fail(ErrorCode::kUnsupported,
                "store: written in format {}, this program reads format {}: move the folder away "
                "or run the program that wrote it", *version, kFormatVersion);
  }
  if (version.error().code != ErrorCode::kNotFound) return std::unexpected(version.error());
  rocksdb::WriteBatch batch;
  batch.Put(engine[Family::kMeta], key, ToSlice(kFormatVersion));
  return engine.Write(batch, true);
}

class RocksDbStore final : public Store {
 public:
  RocksDbStore(std::unique_ptr<Engine> engine, const StoreOptions& options)
      : engine_(std::move(engine)),
        sessions_(*engine_),
        samples_(*engine_, options),
        logs_(*engine_),
        records_(*engine_) {}

  Result<void> Start(const StoreOptions& options, const Clock* clock) {
    FAULTLINE_TRY(CheckVersion(*engine_));
    FAULTLINE_TRY(sessions_.Load());
    FAULTLINE_TRY(samples_.Load());
    FAULTLINE_TRY(logs_.Load());
    committer_ = std::make_unique<Committer>(
        Committer::Parts{*engine_, sessions_, samples_, logs_, records_}, clock,
        options.commit_interval_ns);
    return {};
  }

  Result<SeriesId> InternSeries(const Labels& labels, const SeriesMeta& meta) override {
    return samples_.Intern(labels, meta);
  }
  Result<SeriesId> InternEncoded(std::string_view key, const LabelsOfKey& labels) override {
    return samples_.InternEncoded(key, labels);
  }
  void DescribeMetric(std::string_view metric, const SeriesMeta& meta) override {
    samples_.LearnMeta(std::string(metric), meta);
  }
  Result<StreamId> InternStream(const Labels& labels) override { return logs_.Intern(labels); }
  void Append(AppendBatch&& batch, std::function<void(Result<void>)> done) override {
    if (!observer_ || batch.samples.empty()) {
      committer_->Append(std::move(batch), std::move(done));
      return;
    }
    committer_->Append(std::move(batch), [this, samples = batch.samples, done = std::move(done)](Result<void> result) mutable {
      if (result) observer_(std::move(samples));
      if (done) done(std::move(result));
    });
  }
  void Observe(SampleObserver observer) override { observer_ = std::move(observer); }
  Result<SessionDictionary> Session(std::string_view node, uint64_t session) override {
    FAULTLINE_TRY(committer_->Run([] { return Result<void>(); }));
    return sessions_.Read(node, session);
  }

  Result<std::vector<SeriesId>> Select(std::span<const LabelMatcher> matchers, int64_t begin_ms,
                                       int64_t end_ms) override {
    return samples_.Select(matchers, begin_ms, end_ms);
  }
  Result<Labels> LabelsOf(SeriesId series) override { return samples_.LabelsOf(series); }
  Result<SeriesMeta> MetaOf(SeriesId series) override { return samples_.MetaOf(series); }
  Result<std::vector<Sample>> Fetch(SeriesId series, int64_t begin_ms, int64_t end_ms) override {
    return samples_.Fetch(series, begin_ms, end_ms);
  }
  Result<void> FetchMany(std::span<const SeriesId> series, int64_t begin_ms, int64_t end_ms,
                         const TakeSamples& take) override {
    return samples_.FetchMany(series, begin_ms, end_ms, take);
  }
  Result<std::vector<std::string>> LabelNames(std::span<const LabelMatcher> matchers,
                                              int64_t begin_ms, int64_t end_ms) override {
    return samples_.LabelNames(matchers, begin_ms, end_ms);
  }
  Result<std::vector<std::string>> LabelValues(std::string_view name,
                                               std::span<const LabelMatcher> matchers,
                                               int64_t begin_ms, int64_t end_ms) override {
    return samples_.LabelValues(name, matchers, begin_ms, end_ms);
  }
  Result<std::vector<std::pair<std::string, SeriesMeta>>> Metadata() override {
    return samples_.Metadata();
  }

  Result<void> ScanLogs(const LogQuery& query,
                        const std::function<bool(const Labels&, const LogEntry&)>& visit) override {
    return logs_.Scan(query, visit);
  }
  Result<std::vector<Labels>> LogStreams(std::span<const LabelMatcher> matchers,
                                         int64_t begin_unix_ns, int64_t end_unix_ns) override {
    return logs_.Streams(matchers, begin_unix_ns, end_unix_ns);
  }
  Result<std::vector<StoredEvent>> Events(int64_t begin_unix_ns, int64_t end_unix_ns,
                                          size_t max_events) override {
    return records_.Events(begin_unix_ns, end_unix_ns, max_events);
  }
  Result<std::vector<StoredFault>> Faults(int64_t begin_unix_ns, int64_t end_unix_ns) override {
    return records_.Faults(begin_unix_ns, end_unix_ns);
  }
  Result<std::vector<StoredCheck>> Checks(int64_t begin_unix_ns, int64_t end_unix_ns,
                                          size_t max_results) override {
    return records_.Checks(begin_unix_ns, end_unix_ns, max_results);
  }
  Result<std::vector<StoredCheck>> CheckHistory(std::string_view node, std::string_view rule,
                                                int64_t begin_unix_ns, int64_t end_unix_ns,
                                                size_t max_results) override {
    return records_.CheckHistory(node, rule, begin_unix_ns, end_unix_ns, max_results);
  }
  Result<std::vector<StoredSpan>> Trace(std::string_view trace_id) override {
    return records_.Trace(trace_id);
  }
  Result<void> ScanSpans(const SpanQuery& query,
                         const std::function<bool(const StoredSpan&)>& visit) override {
    return records_.ScanSpans(query, visit);
  }
  Result<std::vector<SpanOperation>> SpanOperations(std::string_view service,
                                                    int64_t begin_unix_ns,
                                                    int64_t end_unix_ns) override {
    return records_.SpanOperations(service, begin_unix_ns, end_unix_ns);
  }
  Result<std::vector<StoredSpan>> Spans(int64_t begin_unix_ns, int64_t end_unix_ns,
                                        size_t max_spans) override {
    return records_.Spans(begin_unix_ns, end_unix_ns, max_spans);
  }

  Result<void> PutDocument(std::string_view kind, std::string_view name,
                           std::string_view text) override {
    return records_.PutDocument(kind, name, text);
  }
  Result<std::string> GetDocument(std::string_view kind, std::string_view name) override {
    return records_.GetDocument(kind, name);
  }
  Result<void> DeleteDocument(std::string_view kind, std::string_view name) override {
    return records_.DeleteDocument(kind, name);
  }
  Result<std::vector<std::pair<std::string, std::string>>> ListDocuments(
      std::string_view kind) override {
    return records_.ListDocuments(kind);
  }

  Result<void> Retain(int64_t oldest_unix_ns) override {
    return committer_->Run([&]() -> Result<void> {
      FAULTLINE_TRY(samples_.Retain(oldest_unix_ns / kNsPerMs));
      FAULTLINE_TRY(logs_.Retain(oldest_unix_ns));
      FAULTLINE_TRY(records_.Retain(oldest_unix_ns));
      return sessions_.Retain(oldest_unix_ns);
    });
  }
  Result<void> Snapshot(const std::string& folder) override { return engine_->Checkpoint(folder); }
  Result<std::vector<std::string>> Verify() override { return engine_->Verify(); }
  StoreStats Stats() const override {
    StoreStats stats;
    samples_.AddStats(stats);
    logs_.AddStats(stats);
    stats.bytes_on_disk = engine_->BytesOnDisk();
    stats.commits = committer_->commits();
    stats.damaged_reads = engine_->damages();
    return stats;
  }

 private:
  std::unique_ptr<Engine> engine_;
  SessionTable sessions_;
  SampleStore samples_;
  LogStore logs_;
  RecordStore records_;
  SampleObserver observer_;
  std::unique_ptr<Committer> committer_;  // last: its thread uses all of the above
};

}  // namespace
}  // namespace store

Result<std::unique_ptr<Store>> OpenRocksDbStore(const StoreOptions& options, const Clock* clock) {
  FAULTLINE_ASSIGN(auto engine, store::Engine::Open(options.folder));
  auto opened = std::make_unique<store::RocksDbStore>(std::move(engine), options);
  FAULTLINE_TRY(opened->Start(options, clock));
  return opened;
}

}  // namespace faultline
