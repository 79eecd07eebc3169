#include "aggregator/store/records.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>
#include <random>
#include <set>

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

std::string ServicePrefix(char kind, int64_t day, std::string_view service) {
  std::string key = TextKey(kind, DayKey(day));
  PutText(key, service);
  return key;
}

// The days below which keys of `kind` lie, in order. Each seek lands on the next day that has any.
Result<std::vector<int64_t>> DaysOf(const Engine& engine, char kind) {
  std::vector<int64_t> days;
  auto range = engine.Prefix(Family::kRecords, std::string(1, kind));
  for (range->SeekToFirst(); range.Valid();) {
    days.push_back(static_cast<int32_t>(ByteReader(range.key().substr(1)).Be32() ^ (1u << 31)));
    range->Seek(TextKey(kind, DayKey(days.back() + 1)));
  }
  FAULTLINE_TRY(range.status());
  return days;
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
  for (const auto& span : batch.spans) StageSpan(batch, span, UniqueOf(batch, place++), write);
}

void RecordStore::StageSpan(const AppendBatch& batch, const v1::Span& span, uint64_t unique,
                            rocksdb::WriteBatch& write) {
  constexpr size_t kMaxRemembered = 10'000;
  auto* family = engine_[Family::kRecords];
  if (!span.span_id().empty()) {
    // A span that a client sends again overwrites itself.
    unique = XXH3_64bits_withSeed(span.span_id().data(), span.span_id().size(),
                                  XXH3_64bits(span.trace_id().data(), span.trace_id().size()));
    unique ^= XXH3_64bits(span.service().data(), span.service().size());
  }
  const int64_t day = DayOfNs(span.start_unix_ns());
  std::string place;  // below every index
  PutBeTime(place, span.start_unix_ns());
  PutBe64(place, unique);
  write.Put(family, TextKey(kSpanKey, place), RowOf(batch.node, span));
  write.Put(family, TracePrefix(day, span.trace_id()) + place, "");
  write.Put(family, ServicePrefix(kServiceSpanKey, day, span.service()) + place, span.name());
  std::string operation = ServicePrefix(kOperationKey, day, span.service());
  PutText(operation, span.name());
  operation.push_back(static_cast<char>(span.kind()));
  if (operations_.size() >= kMaxRemembered) operations_.clear();
  // Also if the commit fails: then this day's operation may be missing until the memory is cleared.
  if (operations_.insert(operation).second) write.Put(family, operation, "");
}

Result<void> RecordStore::ScanSpans(const SpanQuery& query,
                                    const std::function<bool(const StoredSpan&)>& visit) const {
  const auto visit_row = [&](std::string_view row) -> Result<bool> {
    StoredSpan span;
    FAULTLINE_ASSIGN(span.node, ReadRow(row, span.span));
    return visit(span);
  };
  if (query.begin_unix_ns >= query.end_unix_ns) return {};
  if (query.service.empty()) {
    Engine::Range range(engine_, Family::kRecords, TimeKey(kSpanKey, query.begin_unix_ns),
                        TimeKey(kSpanKey, query.end_unix_ns));
    for (range->SeekToLast(); range.Valid(); range->Prev()) {
      FAULTLINE_ASSIGN(const bool more, visit_row(range.value()));
      if (!more) return {};
    }
    return range.status();
  }
  FAULTLINE_ASSIGN(const std::vector<int64_t> days, DaysOf(engine_, kServiceSpanKey));
  for (auto day = days.rbegin(); day != days.rend(); ++day) {
    const int64_t day_begin = *day * kNsPerDay;
    if (day_begin >= query.end_unix_ns || day_begin + kNsPerDay <= query.begin_unix_ns) continue;
    const std::string prefix = ServicePrefix(kServiceSpanKey, *day, query.service);
    std::string begin = prefix, end = prefix;
    PutBeTime(begin, query.begin_unix_ns);
    PutBeTime(end, query.end_unix_ns);
    Engine::Range range(engine_, Family::kRecords, begin, end);
    for (range->SeekToLast(); range.Valid(); range->Prev()) {
      if (!query.operation.empty() && range.value() != query.operation) continue;
      FAULTLINE_ASSIGN(
          const std::string row,
          engine_.Get(Family::kRecords, TextKey(kSpanKey, range.key().substr(prefix.size()))));
      FAULTLINE_ASSIGN(const bool more, visit_row(row));
      if (!more) return {};
    }
    FAULTLINE_TRY(range.status());
  }
  return {};
}

Result<std::vector<SpanOperation>> RecordStore::SpanOperations(std::string_view service,
                                                               int64_t begin_unix_ns,
                                                               int64_t end_unix_ns) const {
  std::set<SpanOperation> found;
  FAULTLINE_ASSIGN(const std::vector<int64_t> days, DaysOf(engine_, kOperationKey));
  for (const int64_t day : days) {
    if (day < DayOfNs(begin_unix_ns) || day > DayOfNs(end_unix_ns)) continue;
    const std::string prefix = service.empty() ? TextKey(kOperationKey, DayKey(day))
                                               : ServicePrefix(kOperationKey, day, service);
    auto range = engine_.Prefix(Family::kRecords, prefix);
    for (range->SeekToFirst(); range.Valid(); range->Next()) {
      ByteReader in(range.key().substr(5));
      SpanOperation operation;
      operation.service = in.Text();
      operation.operation = in.Text();
      const std::string_view kind = in.Bytes(1);
      if (in.failed()) return Fail(ErrorCode::kCorruption, "store: the key of an operation is damaged");
      operation.kind = static_cast<uint8_t>(kind[0]);
      found.insert(std::move(operation));
    }
    FAULTLINE_TRY(range.status());
  }
  return std::vector<SpanOperation>(found.begin(), found.end());
}

Result<void> RecordStore::Retain(int64_t oldest_unix_ns) {
  const int64_t boundary = DayOfNs(oldest_unix_ns) * kNsPerDay;
  for (const char kind : {kEventKey, kFaultKey, kSpanKey, kCheckKey}) {
    FAULTLINE_TRY(
        engine_.DropRange(Family::kRecords, TimeKey(kind, INT64_MIN), TimeKey(kind, boundary)));
  }
  for (const char kind : {kTraceKey, kServiceSpanKey, kOperationKey, kCheckHistoryKey}) {
    FAULTLINE_TRY(engine_.DropRange(Family::kRecords, TextKey(kind, DayKey(INT32_MIN)),
                                    TextKey(kind, DayKey(DayOfNs(oldest_unix_ns)))));
  }
  return {};
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
  FAULTLINE_ASSIGN(const std::vector<int64_t> days, DaysOf(engine_, kTraceKey));
  for (const int64_t day : days) {
    const std::string prefix = TracePrefix(day, trace_id);
    auto range = engine_.Prefix(Family::kRecords, prefix);
    for (range->SeekToFirst(); range.Valid(); range->Next()) {
      FAULTLINE_ASSIGN(
          const std::string row,
          engine_.Get(Family::kRecords, TextKey(kSpanKey, range.key().substr(prefix.size()))));
      StoredSpan& span = spans.emplace_back();
      FAULTLINE_ASSIGN(span.node, ReadRow(row, span.span));
    }
    FAULTLINE_TRY(range.status());
  }
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
