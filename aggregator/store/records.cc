#include "aggregator/store/records.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>
#include <random>

#include "aggregator/store/keys.h"
#include "common/clock.h"
#include "common/text.h"

namespace faultline::store {
namespace {

constexpr int64_t kNsPerDay = 86'400 * kNsPerSecond;

int64_t DayOfNs(int64_t unix_ns) { return unix_ns / kNsPerDay - (unix_ns % kNsPerDay < 0 ? 1 : 0); }

std::string TimeKey(char kind, int64_t unix_ns) {
  std::string key(1, kind);
  PutBeTime(key, unix_ns);
  return key;
}

// A node's results of a day, of one rule unless it is empty.
std::string HistoryPrefix(int64_t day, std::string_view node, std::string_view rule) {
  std::string key(1, kCheckHistoryKey);
  key += DayKey(day);
  key += node;
  key.push_back('\0');
  if (rule.empty()) return key;
  key += rule;
  key.push_back('\0');
  return key;
}

std::string TracePrefix(int64_t day, std::string_view trace_id) {
  std::string key(1, kTraceKey);
  key += DayKey(day);
  PutText(key, trace_id);
  return key;
}

template <typename Message>
std::string RowOf(std::string_view node, const Message& message) {
  std::string row;
  PutText(row, node);
  message.AppendToString(&row);
  return row;
}

template <typename Message>
Result<std::string> ReadRow(std::string_view row, Message& message) {
  ByteReader in(row);
  std::string node(in.Text());
  const std::string_view rest = in.Bytes(in.left());
  if (in.failed() || !message.ParseFromArray(rest.data(), static_cast<int>(rest.size()))) {
    return Fail(ErrorCode::kCorruption, "store: a row of {} is damaged", message.GetTypeName());
  }
  return node;
}

std::string DocumentKey(std::string_view kind, std::string_view name) {
  std::string key = TextKey(kDocumentKey, kind);
  key.push_back('\0');
  key += name;
  return key;
}

// Rows of `kind` in [begin, end), the newest `max_rows`, in order of time.
template <typename Row, typename Member>
Result<std::vector<Row>> ReadRows(const Engine& engine, char kind, int64_t begin, int64_t end,
                                  size_t max_rows, Member member) {
  std::vector<Row> rows;
  if (begin >= end) return rows;
  Engine::Range range(engine, Family::kRecords, TimeKey(kind, begin), TimeKey(kind, end));
  for (range->SeekToLast(); range.Valid() && rows.size() < max_rows; range->Prev()) {
    Row& row = rows.emplace_back();
    FAULTLINE_ASSIGN(row.node, ReadRow(range.value(), row.*member));
  }
  FAULTLINE_TRY(range.status());
  std::reverse(rows.begin(), rows.end());
  return rows;
}

}  // namespace

RecordStore::RecordStore(Engine& engine) : engine_(engine) {
  std::random_device random;
  seed_ = static_cast<uint64_t>(random()) << 32 | random();
}

uint64_t RecordStore::UniqueOf(const AppendBatch& batch, size_t place) {
  const uint64_t words[] = {batch.session, batch.session != 0 ? batch.sequence : ++pushes_, place};
  const uint64_t seed =
      batch.session != 0 ? XXH3_64bits(batch.node.data(), batch.node.size()) : seed_;
  return XXH3_64bits_withSeed(words, sizeof(words), seed);
}

void RecordStore::Stage(const AppendBatch& batch, rocksdb::WriteBatch& write) {
  size_t place = 0;
  auto* family = engine_[Family::kRecords];
  const auto put = [&](char kind, int64_t unix_ns, const auto& message) {
    std::string key = TimeKey(kind, unix_ns);
    PutBe64(key, UniqueOf(batch, place++));
    write.Put(family, key, RowOf(batch.node, message));
    return key;
  };
  for (const auto& event : batch.events) put(kEventKey, event.time_unix_ns(), event);
  for (const auto& fault : batch.faults) put(kFaultKey, fault.time_unix_ns(), fault);
  for (const auto& result : batch.checks) {
    const std::string key = put(kCheckKey, result.started_unix_ns(), result);
    // NUL ends a name in the key; a rule that has one is found by time only.
    const bool plain = batch.node.find('\0') == std::string::npos && result.rule().find('\0') == std::string::npos;
    if (!plain || result.rule().empty()) continue;
    write.Put(family, HistoryPrefix(DayOfNs(result.started_unix_ns()), batch.node, result.rule()) + key.substr(1), "");
  }
  for (const auto& span : batch.spans) {
    const std::string key = put(kSpanKey, span.start_unix_ns(), span);
    write.Put(family, TracePrefix(DayOfNs(span.start_unix_ns()), span.trace_id()) + key.substr(1),
              "");
  }
}

Result<void> RecordStore::Retain(int64_t oldest_unix_ns) {
  const int64_t boundary = DayOfNs(oldest_unix_ns) * kNsPerDay;
  for (const char kind : {kEventKey, kFaultKey, kSpanKey, kCheckKey}) {
    FAULTLINE_TRY(
        engine_.DropRange(Family::kRecords, TimeKey(kind, INT64_MIN), TimeKey(kind, boundary)));
  }
  const std::string history(1, kCheckHistoryKey);
  FAULTLINE_TRY(engine_.DropRange(Family::kRecords, history + DayKey(INT32_MIN),
                                  history + DayKey(DayOfNs(oldest_unix_ns))));
  const std::string traces(1, kTraceKey);
  return engine_.DropRange(Family::kRecords, traces + DayKey(INT32_MIN),
                           traces + DayKey(DayOfNs(oldest_unix_ns)));
}

Result<std::vector<StoredEvent>> RecordStore::Events(int64_t begin_unix_ns, int64_t end_unix_ns,
                                                     size_t max_events) const {
  return ReadRows<StoredEvent>(engine_, kEventKey, begin_unix_ns, end_unix_ns, max_events,
                               &StoredEvent::event);
}

Result<std::vector<StoredFault>> RecordStore::Faults(int64_t begin_unix_ns,
                                                     int64_t end_unix_ns) const {
  return ReadRows<StoredFault>(engine_, kFaultKey, begin_unix_ns, end_unix_ns, SIZE_MAX,
                               &StoredFault::transition);
}

Result<std::vector<StoredCheck>> RecordStore::Checks(int64_t begin_unix_ns, int64_t end_unix_ns,
                                                     size_t max_results) const {
  return ReadRows<StoredCheck>(engine_, kCheckKey, begin_unix_ns, end_unix_ns, max_results,
                               &StoredCheck::result);
}

Result<std::vector<StoredCheck>> RecordStore::CheckHistory(std::string_view node, std::string_view rule,
                                                           int64_t begin_unix_ns, int64_t end_unix_ns,
                                                           size_t max_results) const {
  constexpr size_t kTailBytes = 16;  // time and unique
  std::vector<StoredCheck> results;
  if (begin_unix_ns >= end_unix_ns || node.empty()) return results;
  const bool glob = rule.find_first_of("*?[") != std::string_view::npos;
  const std::string begin = TimeKey(kCheckKey, begin_unix_ns), end = TimeKey(kCheckKey, end_unix_ns);
  auto all = engine_.Prefix(Family::kRecords, std::string(1, kCheckHistoryKey));
  all->SeekToFirst();
  if (!all.Valid()) return results;
  // From the newest day back, so that the limit keeps the newest.
  const auto oldest = static_cast<int32_t>(ByteReader(all.key().substr(1)).Be32() ^ (1u << 31));
  all->SeekToLast();
  const auto newest = static_cast<int32_t>(ByteReader(all.key().substr(1)).Be32() ^ (1u << 31));
  const int64_t first_day = std::max<int64_t>(DayOfNs(begin_unix_ns), oldest);
  for (int64_t day = std::min<int64_t>(DayOfNs(end_unix_ns - 1), newest);
       day >= first_day && results.size() < max_results; --day) {
    const std::string prefix = HistoryPrefix(day, node, glob ? std::string_view() : rule);
    std::vector<std::string> keys;
    auto range = engine_.Prefix(Family::kRecords, prefix);
    for (range->SeekToFirst(); range.Valid(); range->Next()) {
      const std::string_view rest = range.key().substr(prefix.size());
      if (rest.size() < kTailBytes) continue;
      const std::string key = TextKey(kCheckKey, rest.substr(rest.size() - kTailBytes));
      if (key < begin || key >= end) continue;
      if (glob && !GlobMatch(rule, rest.substr(0, rest.size() - kTailBytes - 1))) continue;
      keys.push_back(key);
    }
    FAULTLINE_TRY(range.status());
    std::sort(keys.begin(), keys.end(), std::greater<>());
    for (const std::string& key : keys) {
      if (results.size() >= max_results) break;
      FAULTLINE_ASSIGN(const std::string row, engine_.Get(Family::kRecords, key));
      StoredCheck& stored = results.emplace_back();
      FAULTLINE_ASSIGN(stored.node, ReadRow(row, stored.result));
    }
  }
  std::reverse(results.begin(), results.end());
  return results;
}

Result<std::vector<StoredSpan>> RecordStore::Spans(int64_t begin_unix_ns, int64_t end_unix_ns,
                                                   size_t max_spans) const {
  return ReadRows<StoredSpan>(engine_, kSpanKey, begin_unix_ns, end_unix_ns, max_spans,
                              &StoredSpan::span);
}

Result<std::vector<StoredSpan>> RecordStore::Trace(std::string_view trace_id) const {
  std::vector<StoredSpan> spans;
  auto range = engine_.Prefix(Family::kRecords, std::string(1, kTraceKey));
  range->SeekToLast();
  if (!range.Valid()) return spans;
  const auto day_of_key = [&] {
    return static_cast<int64_t>(
        static_cast<int32_t>(ByteReader(range.key().substr(1)).Be32() ^ (1u << 31)));
  };
  const int64_t last_day = day_of_key();
  range->SeekToFirst();
  // Days without spans are jumped over: each seek lands on the next day that has any.
  for (int64_t day = range.Valid() ? day_of_key() : last_day + 1; day <= last_day; ++day) {
    const std::string prefix = TracePrefix(day, trace_id);
    for (range->Seek(prefix); range.Valid() && range.key().starts_with(prefix); range->Next()) {
      FAULTLINE_ASSIGN(
          const std::string row,
          engine_.Get(Family::kRecords, TextKey(kSpanKey, range.key().substr(prefix.size()))));
      StoredSpan& span = spans.emplace_back();
      FAULTLINE_ASSIGN(span.node, ReadRow(row, span.span));
    }
    if (range.Valid()) day = std::max(day, day_of_key() - 1);
  }
  FAULTLINE_TRY(range.status());
  std::stable_sort(spans.begin(), spans.end(), [](const StoredSpan& a, const StoredSpan& b) {
    return a.span.start_unix_ns() < b.span.start_unix_ns();
  });
  return spans;
}

Result<void> RecordStore::PutDocument(std::string_view kind, std::string_view name,
                                      std::string_view text) {
  if (kind.find('\0') != kind.npos || name.find('\0') != name.npos) {
    return Fail(ErrorCode::kInvalidArgument,
                "store: kind and name of a document may not contain NUL");
  }
  rocksdb::WriteBatch batch;
  batch.Put(engine_[Family::kMeta], DocumentKey(kind, name), ToSlice(text));
  return engine_.Write(batch, true);
}

Result<std::string> RecordStore::GetDocument(std::string_view kind, std::string_view name) const {
  auto text = engine_.Get(Family::kMeta, DocumentKey(kind, name));
  if (!text && text.error().code == ErrorCode::kNotFound) {
    return Fail(ErrorCode::kNotFound, "no {} named '{}'", kind, name);
  }
  return text;
}

Result<void> RecordStore::DeleteDocument(std::string_view kind, std::string_view name) {
  FAULTLINE_TRY(GetDocument(kind, name));
  rocksdb::WriteBatch batch;
  batch.Delete(engine_[Family::kMeta], DocumentKey(kind, name));
  return engine_.Write(batch, true);
}

Result<std::vector<std::pair<std::string, std::string>>> RecordStore::ListDocuments(
    std::string_view kind) const {
  std::vector<std::pair<std::string, std::string>> documents;
  const std::string prefix = DocumentKey(kind, "");
  auto range = engine_.Prefix(Family::kMeta, prefix);
  for (range->SeekToFirst(); range.Valid(); range->Next()) {
    documents.emplace_back(range.key().substr(prefix.size()), range.value());
  }
  FAULTLINE_TRY(range.status());
  return documents;
}

}  // namespace faultline::store
