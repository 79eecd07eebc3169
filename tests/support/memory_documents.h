// A store that keeps documents in memory and refuses everything else: for tests of what is built on documents alone.
#pragma once

#include <map>
#include <mutex>

#include "aggregator/store/store.h"

namespace faultline {

class MemoryDocuments final : public Store {
 public:
  // While set, writing documents fails with this.
  std::optional<Error> write_error;
  // What Faults returns.
  std::vector<StoredFault> faults;

  Result<SeriesId> InternSeries(const Labels&, const SeriesMeta&) override { return No(); }
  Result<StreamId> InternStream(const Labels&) override { return No(); }
  void Append(AppendBatch&&, std::function<void(Result<void>)> done) override { done(No()); }
  Result<SessionDictionary> Session(std::string_view, uint64_t) override { return No(); }
  Result<std::vector<SeriesId>> Select(std::span<const LabelMatcher>, int64_t, int64_t) override { return No(); }
  Result<Labels> LabelsOf(SeriesId) override { return No(); }
  Result<SeriesMeta> MetaOf(SeriesId) override { return No(); }
  Result<std::vector<Sample>> Fetch(SeriesId, int64_t, int64_t) override { return No(); }
  Result<std::vector<std::string>> LabelNames(std::span<const LabelMatcher>, int64_t, int64_t) override {
    return No();
  }
  Result<std::vector<std::string>> LabelValues(std::string_view, std::span<const LabelMatcher>, int64_t,
                                               int64_t) override {
    return No();
  }
  Result<std::vector<std::pair<std::string, SeriesMeta>>> Metadata() override { return No(); }
  Result<void> ScanLogs(const LogQuery&,
                        const std::function<bool(const Labels&, const LogEntry&)>&) override {
    return No();
  }
  Result<std::vector<Labels>> LogStreams(std::span<const LabelMatcher>, int64_t, int64_t) override {
    return No();
  }
  Result<std::vector<StoredEvent>> Events(int64_t, int64_t, size_t) override { return No(); }
  Result<std::vector<StoredFault>> Faults(int64_t, int64_t) override { return faults; }
  Result<std::vector<StoredSpan>> Trace(std::string_view) override { return No(); }
  Result<std::vector<StoredSpan>> Spans(int64_t, int64_t, size_t) override { return No(); }
  Result<void> Retain(int64_t) override { return No(); }
  Result<void> Snapshot(const std::string&) override { return No(); }
  StoreStats Stats() const override { return {}; }

  Result<void> PutDocument(std::string_view kind, std::string_view name, std::string_view text) override {
    std::lock_guard lock(mutex_);
    if (write_error) return std::unexpected(*write_error);
    documents_[std::string(kind)][std::string(name)] = std::string(text);
    return {};
  }
  Result<std::string> GetDocument(std::string_view kind, std::string_view name) override {
    std::lock_guard lock(mutex_);
    const auto& of_kind = documents_[std::string(kind)];
    const auto found = of_kind.find(std::string(name));
    if (found == of_kind.end()) return Fail(ErrorCode::kNotFound, "document {}/{} not found", kind, name);
    return found->second;
  }
  Result<void> DeleteDocument(std::string_view kind, std::string_view name) override {
    std::lock_guard lock(mutex_);
    if (write_error) return std::unexpected(*write_error);
    documents_[std::string(kind)].erase(std::string(name));
    return {};
  }
  Result<std::vector<std::pair<std::string, std::string>>> ListDocuments(std::string_view kind) override {
    std::lock_guard lock(mutex_);
    const auto& of_kind = documents_[std::string(kind)];
    return std::vector<std::pair<std::string, std::string>>(of_kind.begin(), of_kind.end());
  }

 private:
  static std::unexpected<Error> No() {
    return Fail(ErrorCode::kUnsupported, "this store of a test keeps documents only");
  }

  std::mutex mutex_;
  std::map<std::string, std::map<std::string, std::string>> documents_;
};

}  // namespace faultline
