// A Store that keeps samples and log lines in maps: for unit tests of what stands above the store.
// The rest of the interface answers "unsupported". Not thread-safe.
#pragma once

#include <re2/re2.h>

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "aggregator/store/store.h"

namespace faultline {

class MemoryStore final : public Store {
 public:
  // `labels` need not be sorted.
  void Add(Labels labels, const std::vector<Sample>& samples, SeriesMeta meta = {}) {
    SortLabels(labels);
    Series& series = series_[*InternSeries(labels, meta) - 1];
    for (const Sample& sample : samples) series.samples.push_back(sample);
    std::sort(series.samples.begin(), series.samples.end(),
              [](const Sample& a, const Sample& b) { return a.time_ms < b.time_ms; });
  }
  void AddLog(Labels labels, LogEntry entry) {
    SortLabels(labels);
    auto& entries = logs_[labels];
    const auto at =
        std::upper_bound(entries.begin(), entries.end(), entry.time_unix_ns,
                         [](int64_t t, const LogEntry& e) { return t < e.time_unix_ns; });
    entries.insert(at, std::move(entry));
  }

  Result<SeriesId> InternSeries(const Labels& labels, const SeriesMeta& meta) override {
    for (size_t i = 0; i < series_.size(); ++i) {
      if (series_[i].labels == labels) return i + 1;
    }
    series_.push_back({labels, meta, {}});
    return series_.size();
  }
  Result<StreamId> InternStream(const Labels& labels) override {
    const auto found = std::find(streams_.begin(), streams_.end(), labels);
    if (found != streams_.end()) return static_cast<StreamId>(found - streams_.begin()) + 1;
    streams_.push_back(labels);
    return streams_.size();
  }
  void Append(AppendBatch&& batch, std::function<void(Result<void>)> done) override {
    for (const AppendBatch::SampleRow& row : batch.samples) {
      Add(series_[row.series - 1].labels, {{row.time_ms, row.value}});
    }
    for (const AppendBatch::LogRows& rows : batch.logs) {
      for (const v1::LogRecord& record : rows.records) {
        LogEntry entry{record.time_unix_ns(), record.body(), record.severity(), {}};
        for (const v1::Label& label : record.attributes())
          entry.attributes.emplace_back(label.name(), label.value());
        AddLog(streams_[rows.stream - 1], std::move(entry));
      }
    }
    done({});
  }
  Result<SessionDictionary> Session(std::string_view, uint64_t) override {
    return SessionDictionary{};
  }

  Result<std::vector<SeriesId>> Select(std::span<const LabelMatcher> matchers, int64_t begin_ms,
                                       int64_t end_ms) override {
    std::vector<SeriesId> ids;
    for (size_t i = 0; i < series_.size(); ++i) {
      if (AllMatch(matchers, series_[i].labels) && HasSamples(series_[i], begin_ms, end_ms))
        ids.push_back(i + 1);
    }
    return ids;
  }
  Result<Labels> LabelsOf(SeriesId series) override { return series_[series - 1].labels; }
  Result<SeriesMeta> MetaOf(SeriesId series) override { return series_[series - 1].meta; }
  Result<std::vector<Sample>> Fetch(SeriesId series, int64_t begin_ms, int64_t end_ms) override {
    std::vector<Sample> samples;
    for (const Sample& sample : series_[series - 1].samples) {
      if (sample.time_ms >= begin_ms && sample.time_ms <= end_ms) samples.push_back(sample);
    }
    return samples;
  }
  Result<std::vector<std::string>> LabelNames(std::span<const LabelMatcher> matchers,
                                              int64_t begin_ms, int64_t end_ms) override {
    std::set<std::string> names;
    for (const Series& series : series_) {
      if (!AllMatch(matchers, series.labels) || !HasSamples(series, begin_ms, end_ms)) continue;
      for (const auto& label : series.labels) names.insert(label.first);
    }
    return std::vector<std::string>(names.begin(), names.end());
  }
  Result<std::vector<std::string>> LabelValues(std::string_view name,
                                               std::span<const LabelMatcher> matchers,
                                               int64_t begin_ms, int64_t end_ms) override {
    std::set<std::string> values;
    for (const Series& series : series_) {
      if (!AllMatch(matchers, series.labels) || !HasSamples(series, begin_ms, end_ms)) continue;
      if (const auto value = LabelValue(series.labels, name); !value.empty()) values.emplace(value);
    }
    return std::vector<std::string>(values.begin(), values.end());
  }
  Result<std::vector<std::pair<std::string, SeriesMeta>>> Metadata() override {
    std::map<std::string, SeriesMeta> found;
    for (const Series& series : series_)
      found.try_emplace(std::string(LabelValue(series.labels, "__name__")), series.meta);
    return std::vector<std::pair<std::string, SeriesMeta>>(found.begin(), found.end());
  }

  Result<void> ScanLogs(const LogQuery& query,
                        const std::function<bool(const Labels&, const LogEntry&)>& visit) override {
    std::vector<std::pair<const Labels*, const LogEntry*>> rows;
    for (const auto& [labels, entries] : logs_) {
      if (!AllMatch(query.matchers, labels)) continue;
      for (const LogEntry& entry : entries) {
        if (entry.time_unix_ns < query.begin_unix_ns || entry.time_unix_ns >= query.end_unix_ns)
          continue;
        rows.emplace_back(&labels, &entry);
      }
    }
    std::stable_sort(rows.begin(), rows.end(), [&](const auto& a, const auto& b) {
      return query.newest_first ? a.second->time_unix_ns > b.second->time_unix_ns
                                : a.second->time_unix_ns < b.second->time_unix_ns;
    });
    for (const auto& [labels, entry] : rows) {
      if (!visit(*labels, *entry)) break;
    }
    return {};
  }
  Result<std::vector<Labels>> LogStreams(std::span<const LabelMatcher> matchers, int64_t,
                                         int64_t) override {
    std::vector<Labels> found;
    for (const auto& [labels, entries] : logs_) {
      if (AllMatch(matchers, labels)) found.push_back(labels);
    }
    return found;
  }
  Result<std::vector<StoredEvent>> Events(int64_t, int64_t, size_t) override {
    return Unsupported();
  }
  Result<std::vector<StoredFault>> Faults(int64_t, int64_t) override { return Unsupported(); }
  Result<std::vector<StoredSpan>> Trace(std::string_view) override { return Unsupported(); }
  Result<std::vector<StoredSpan>> Spans(int64_t, int64_t, size_t) override { return Unsupported(); }
  Result<void> PutDocument(std::string_view, std::string_view, std::string_view) override {
    return Unsupported();
  }
  Result<std::string> GetDocument(std::string_view, std::string_view) override {
    return Unsupported();
  }
  Result<void> DeleteDocument(std::string_view, std::string_view) override { return Unsupported(); }
  Result<std::vector<std::pair<std::string, std::string>>> ListDocuments(
      std::string_view) override {
    return Unsupported();
  }
  Result<void> Retain(int64_t) override { return Unsupported(); }
  Result<void> Snapshot(const std::string&) override { return Unsupported(); }
  StoreStats Stats() const override { return {}; }

 private:
  struct Series {
    Labels labels;
    SeriesMeta meta;
    std::vector<Sample> samples;
  };

  static std::unexpected<Error> Unsupported() {
    return Fail(ErrorCode::kUnsupported, "the store of this test keeps samples and logs only");
  }
  static bool Matches(const LabelMatcher& matcher, std::string_view value) {
    const re2::StringPiece piece(value.data(), value.size());
    switch (matcher.op) {
      case LabelMatcher::Op::kEqual:
        return value == matcher.value;
      case LabelMatcher::Op::kNotEqual:
        return value != matcher.value;
      case LabelMatcher::Op::kMatches:
        return RE2::FullMatch(piece, matcher.value);
      case LabelMatcher::Op::kNotMatches:
        return !RE2::FullMatch(piece, matcher.value);
    }
    return false;
  }
  static bool AllMatch(std::span<const LabelMatcher> matchers, const Labels& labels) {
    return std::all_of(matchers.begin(), matchers.end(), [&](const LabelMatcher& matcher) {
      return Matches(matcher, LabelValue(labels, matcher.name));
    });
  }
  static bool HasSamples(const Series& series, int64_t begin_ms, int64_t end_ms) {
    return std::any_of(series.samples.begin(), series.samples.end(), [&](const Sample& sample) {
      return sample.time_ms >= begin_ms && sample.time_ms <= end_ms;
    });
  }

  std::vector<Series> series_;
  std::vector<Labels> streams_;
  std::map<Labels, std::vector<LogEntry>> logs_;
};

}  // namespace faultline
