// Reading log lines in order of time over many streams: each stream knows the time bounds of its
// blocks and unpacks one only when its bound is the next of all, so a query for the newest hundred
// lines unpacks a handful of blocks, and memory holds the blocks that overlap the current instant.
#include <algorithm>
#include <queue>

#include "aggregator/store/keys.h"
#include "aggregator/store/log_block.h"
#include "aggregator/store/log_store.h"
#include "common/clock.h"
#include "common/log.h"

namespace faultline::store {
namespace {

constexpr int64_t kNsPerDay = 86'400 * kNsPerSecond;

int64_t DayOfNs(int64_t unix_ns) { return unix_ns / kNsPerDay - (unix_ns % kNsPerDay < 0 ? 1 : 0); }

}  // namespace

Result<void> VisitLogBlocks(const Engine& engine, uint32_t stream, int64_t begin_unix_ns,
                            int64_t end_unix_ns,
                            const std::function<void(const LogBlockRow&)>& visit) {
  const std::string first = kLogIndexKey + ChunkPrefix(DayOfNs(begin_unix_ns), stream);
  Engine::Range range(engine, Family::kLogs, first,
                      PrefixEnd(kLogIndexKey + ChunkPrefix(DayOfNs(end_unix_ns), stream)));
  for (int64_t day = DayOfNs(begin_unix_ns); day <= DayOfNs(end_unix_ns); ++day) {
    const std::string prefix = kLogIndexKey + ChunkPrefix(day, stream);
    for (range->Seek(prefix); range.Valid() && range.key().starts_with(prefix); range->Next()) {
      LogBlockRow row;
      row.first_ns = ByteReader(range.key().substr(prefix.size())).BeTime();
      ByteReader in(range.value());
      row.last_ns = WrapAdd(row.first_ns, static_cast<int64_t>(in.Varint()));
      row.through = in.Varint();
      if (in.failed())
        return Fail(ErrorCode::kCorruption, "store: index of log stream {} is damaged", stream);
      if (row.first_ns > end_unix_ns) break;
      if (row.last_ns < begin_unix_ns) continue;
      row.key = TextKey(kLogBlockKey, range.key().substr(1));
      visit(row);
    }
  }
  return range.status();
}

// One stream's part of a query. `rank` is a time that rises along the scan: the time itself, or its
// negative.
class LogStreamScan {
 public:
  LogStreamScan(const Engine& engine, const LogQuery& query, Labels labels)
      : engine_(engine), query_(query), labels_(std::move(labels)) {}

  Result<void> Open(uint32_t id, const LogStore::Pieces& tail, int64_t min_unix_ns,
                    int64_t max_unix_ns);
  const Labels& labels() const { return labels_; }
  // Where the next line may be at the earliest; INT64_MAX at the end.
  int64_t NextRank() const;
  // True when the next line is known for sure.
  bool Ready() const {
    return !loaded_.empty() && (next_source_ == sources_.size() ||
                                loaded_.front().Rank() <= sources_[next_source_].rank);
  }
  Result<void> LoadNext();
  LogEntry Pop();

 private:
  struct Source {
    int64_t rank = 0;
    std::string block_key;
    std::shared_ptr<const LogStore::Piece> piece;
  };
  struct Loaded {
    std::vector<LogEntry> entries;  // in the order of the scan
    size_t next = 0;
    bool newest_first = false;
    size_t age = 0;  // order of loading breaks ties
    int64_t Rank() const {
      const int64_t time = entries[next].time_unix_ns;
      return newest_first ? ~time : time;
    }
  };
  static bool Later(const Loaded& a, const Loaded& b) {
    return std::pair(a.Rank(), a.age) > std::pair(b.Rank(), b.age);
  }
  int64_t RankOf(int64_t first_ns, int64_t last_ns) const {
    return query_.newest_first ? ~last_ns : first_ns;
  }
  Result<uint64_t> AddBlocks(uint32_t id, int64_t begin, int64_t end);
  void AddPiece(const std::shared_ptr<const LogStore::Piece>& piece);
  bool Wanted(const LogEntry& entry) const;
  Result<std::vector<LogEntry>> ReadBlock(const std::string& key);

  const Engine& engine_;
  const LogQuery& query_;
  const Labels labels_;
  std::vector<Source> sources_;
  size_t next_source_ = 0;
  std::vector<Loaded> loaded_;  // a heap, earliest rank in front
};

bool LogStreamScan::Wanted(const LogEntry& entry) const {
  return entry.time_unix_ns >= query_.begin_unix_ns && entry.time_unix_ns < query_.end_unix_ns &&
         std::all_of(
             query_.needles.begin(), query_.needles.end(),
             [&](const std::string& needle) {
               return entry.body.find(needle) != std::string::npos;
             });
}

// The number of the last piece that is in a block seen here.
Result<uint64_t> LogStreamScan::AddBlocks(uint32_t id, int64_t begin, int64_t end) {
  uint64_t through = 0;
  FAULTLINE_TRY(VisitLogBlocks(engine_, id, begin, end, [&](const LogBlockRow& row) {
    through = std::max(through, row.through);
    sources_.push_back({RankOf(row.first_ns, row.last_ns), row.key, nullptr});
  }));
  return through;
}

void LogStreamScan::AddPiece(const std::shared_ptr<const LogStore::Piece>& piece) {
  const auto by_time = [](const LogEntry& a, const LogEntry& b) {
    return a.time_unix_ns < b.time_unix_ns;
  };
  const auto [first, last] =
      std::minmax_element(piece->entries.begin(), piece->entries.end(), by_time);
  if (first->time_unix_ns >= query_.end_unix_ns || last->time_unix_ns < query_.begin_unix_ns)
    return;
  sources_.push_back({RankOf(first->time_unix_ns, last->time_unix_ns), "", piece});
}

Result<void> LogStreamScan::Open(uint32_t id, const LogStore::Pieces& tail, int64_t min_unix_ns,
                                 int64_t max_unix_ns) {
  const int64_t begin = std::max(query_.begin_unix_ns, min_unix_ns);
  const int64_t end = std::min(query_.end_unix_ns - 1, max_unix_ns);
  if (begin > end) return {};
  FAULTLINE_ASSIGN(const uint64_t through, AddBlocks(id, begin, end));
  // The tail was looked at before the blocks: what moved meanwhile is in both.
  for (const auto& piece : tail) {
    if (piece->number > through) AddPiece(piece);
  }
  std::stable_sort(sources_.begin(), sources_.end(),
                   [](const Source& a, const Source& b) { return a.rank < b.rank; });
  return {};
}

int64_t LogStreamScan::NextRank() const {
  int64_t rank = INT64_MAX;
  if (!loaded_.empty()) rank = loaded_.front().Rank();
  if (next_source_ < sources_.size()) rank = std::min(rank, sources_[next_source_].rank);
  return rank;
}

// A damaged block is counted and left out; what else there is, is served.
Result<std::vector<LogEntry>> LogStreamScan::ReadBlock(const std::string& key) {
  const auto decode = [&]() -> Result<std::vector<LogEntry>> {
    FAULTLINE_ASSIGN(const std::string block, engine_.Get(Family::kLogs, key));
    return DecodeLogBlock(block, query_.begin_unix_ns, query_.end_unix_ns, query_.needles);
  };
  auto entries = decode();
  if (entries || entries.error().code != ErrorCode::kCorruption) return entries;
  engine_.CountDamage();
  if (LogAllowed("store_damage")) {
    spdlog::error("store: block of log stream {} is damaged and left out: {}",
                  FormatLabels(labels_), entries.error().message);
  }
  return std::vector<LogEntry>();
}

Result<void> LogStreamScan::LoadNext() {
  const Source& source = sources_[next_source_++];
  Loaded loaded;
  if (source.piece) {
    std::copy_if(source.piece->entries.begin(), source.piece->entries.end(),
                 std::back_inserter(loaded.entries),
                 [&](const LogEntry& entry) { return Wanted(entry); });
    std::stable_sort(
        loaded.entries.begin(), loaded.entries.end(),
        [](const LogEntry& a, const LogEntry& b) { return a.time_unix_ns < b.time_unix_ns; });
  } else {
    FAULTLINE_ASSIGN(loaded.entries, ReadBlock(source.block_key));
  }
  if (loaded.entries.empty()) return {};
  if (query_.newest_first) std::reverse(loaded.entries.begin(), loaded.entries.end());
  loaded.newest_first = query_.newest_first;
  loaded.age = next_source_;
  loaded_.push_back(std::move(loaded));
  std::push_heap(loaded_.begin(), loaded_.end(), Later);
  return {};
}

LogEntry LogStreamScan::Pop() {
  std::pop_heap(loaded_.begin(), loaded_.end(), Later);
  Loaded& from = loaded_.back();
  LogEntry entry = std::move(from.entries[from.next++]);
  if (from.next == from.entries.size()) {
    loaded_.pop_back();
  } else {
    std::push_heap(loaded_.begin(), loaded_.end(), Later);
  }
  return entry;
}

Result<void> LogStore::Scan(
    const LogQuery& query, const std::function<bool(const Labels&, const LogEntry&)>& visit) const {
  if (query.begin_unix_ns >= query.end_unix_ns) return {};
  FAULTLINE_ASSIGN(const std::vector<uint32_t> ids, index_.Select(query.matchers));
  std::vector<LogStreamScan> scans;
  using Next = std::pair<int64_t, size_t>;
  std::priority_queue<Next, std::vector<Next>, std::greater<>> order;
  for (const uint32_t id : ids) {
    Stream stream;
    {
      std::shared_lock lock(streams_mutex_);
      const auto found = streams_.find(id);
      if (found == streams_.end()) continue;
      stream = found->second;
    }
    if (stream.min_unix_ns >= query.end_unix_ns || stream.max_unix_ns < query.begin_unix_ns)
      continue;
    LogStreamScan& scan = scans.emplace_back(engine_, query, index_.LabelsOf(id));
    FAULTLINE_TRY(scan.Open(id, stream.tail, stream.min_unix_ns, stream.max_unix_ns));
    if (scan.NextRank() != INT64_MAX) order.emplace(scan.NextRank(), scans.size() - 1);
  }
  while (!order.empty()) {
    const size_t at = order.top().second;
    order.pop();
    LogStreamScan& scan = scans[at];
    if (!scan.Ready()) {
      FAULTLINE_TRY(scan.LoadNext());
    } else if (!visit(scan.labels(), scan.Pop())) {
      return {};
    }
    if (scan.NextRank() != INT64_MAX) order.emplace(scan.NextRank(), at);
  }
  return {};
}

Result<std::vector<Labels>> LogStore::Streams(std::span<const LabelMatcher> matchers,
                                              int64_t begin_unix_ns, int64_t end_unix_ns) const {
  FAULTLINE_ASSIGN(const std::vector<uint32_t> ids, index_.Select(matchers));
  std::vector<Labels> streams;
  for (const uint32_t id : ids) {
    {
      std::shared_lock lock(streams_mutex_);
      const auto found = streams_.find(id);
      if (found == streams_.end() || found->second.min_unix_ns >= end_unix_ns ||
          found->second.max_unix_ns < begin_unix_ns) {
        continue;
      }
    }
    streams.push_back(index_.LabelsOf(id));
  }
  return streams;
}

}  // namespace faultline::store
