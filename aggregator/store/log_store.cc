#include "aggregator/store/log_store.h"

#include <algorithm>

#include "aggregator/store/keys.h"
#include "aggregator/store/log_block.h"
#include "common/clock.h"
#include "common/log.h"

namespace faultline::store {
namespace {

constexpr size_t kBlockBytes = 1 << 20;  // of text, before compression
constexpr size_t kMaxPieceBytes = 1 << 20;
constexpr size_t kMaxTailBytes = 64 << 20;  // of all streams; above it, all tails are cut
constexpr int64_t kMaxTailAgeNs = 300 * kNsPerSecond;
constexpr int kPieceLevel = 1;
constexpr int kBlockLevel = 6;
constexpr size_t kMaxLabels = 128;
constexpr size_t kEntryOverhead = 24;
constexpr uint32_t kMaxStreams = 1 << 20;
constexpr int64_t kNsPerDay = 86'400 * kNsPerSecond;

int64_t DayOfNs(int64_t unix_ns) { return unix_ns / kNsPerDay - (unix_ns % kNsPerDay < 0 ? 1 : 0); }

size_t BytesOf(const LogEntry& entry) {
  size_t bytes = entry.body.size() + kEntryOverhead;
  for (const auto& [name, value] : entry.attributes) bytes += name.size() + value.size();
  return bytes;
}

std::string TailKey(uint32_t stream, uint64_t number) {
  std::string key = IdKey(kTailKey, stream);
  PutBe64(key, number);
  return key;
}

std::string FileKey(const std::string& node, uint64_t file_id) {
  std::string key(1, kFileKey);
  PutText(key, node);
  PutBe64(key, file_id);
  return key;
}

LogEntry EntryOf(const v1::LogRecord& record) {
  LogEntry entry{record.time_unix_ns(), record.body(), record.severity(), {}};
  for (const auto& label : record.attributes())
    entry.attributes.emplace_back(label.name(), label.value());
  SortLabels(entry.attributes);
  return entry;
}

}  // namespace

bool LogStore::Stream::BlockDue(int64_t now_unix_ns) const {
  return tail_bytes >= kBlockBytes ||
         (!tail.empty() && now_unix_ns - tail_since_unix_ns > kMaxTailAgeNs);
}

Result<StreamId> LogStore::Intern(const Labels& given) {
  Labels labels = given;
  std::erase_if(labels, [](const auto& label) { return label.second.empty(); });
  SortLabels(labels);
  if (const uint32_t known = index_.Find(labels)) return known;
  std::lock_guard lock(intern_mutex_);
  if (const uint32_t known = index_.Find(labels)) return known;
  if (labels.empty() || labels.size() > kMaxLabels) {
    return Fail(ErrorCode::kInvalidArgument, "log stream with {} labels: 1 to {} are allowed",
                labels.size(), kMaxLabels);
  }
  if (index_.size() >= kMaxStreams) {
    return Fail(ErrorCode::kResourceExhausted, "store: limit of {} log streams is reached",
                kMaxStreams);
  }
  const uint32_t id = last_id_ + 1;
  std::string value;
  PutVarint(value, labels.size());
  for (const auto& [name, text] : labels) {
    PutText(value, name);
    PutText(value, text);
  }
  index_.Add(id, labels);
  last_id_ = id;
  new_definitions_.emplace_back(IdKey(kStreamKey, id), std::move(value));
  return id;
}

bool LogStore::TakeNew(const AppendBatch& batch, const AppendBatch::LogRows& rows,
                       int64_t now_unix_ns, rocksdb::WriteBatch& write,
                       std::vector<LogEntry>& entries) {
  uint64_t stored_end = 0;
  if (rows.file_id != 0) {
    const FileName name(batch.node, rows.file_id);
    const auto staged = staged_files_.find(name);
    const auto durable = files_.find(name);
    if (staged != staged_files_.end()) {
      stored_end = staged->second.offset;
    } else if (durable != files_.end()) {
      stored_end = durable->second.offset;
    }
    if (rows.end_offset > stored_end) {
      staged_files_[name] = {rows.end_offset, now_unix_ns};
      std::string value;
      PutVarint(value, rows.end_offset);
      PutSigned(value, now_unix_ns);
      write.Put(engine_[Family::kMeta], FileKey(batch.node, rows.file_id), value);
    } else {
      staged_duplicates_ += rows.records.size();
      return false;
    }
  }
  for (const auto& record : rows.records) {
    if (rows.file_id != 0 && record.offset() < stored_end) {
      ++staged_duplicates_;
      continue;
    }
    entries.push_back(EntryOf(record));
  }
  staged_records_ += entries.size();
  return !entries.empty();
}

void LogStore::StagePiece(uint32_t stream, std::vector<LogEntry> entries, int64_t now_unix_ns,
                          rocksdb::WriteBatch& write) {
  auto piece = std::make_shared<Piece>();
  piece->number = last_piece_ + staged_pieces_.size() + 1;
  for (const LogEntry& entry : entries) piece->bytes += BytesOf(entry);
  std::string value;
  EncodeLogBlock(entries, kPieceLevel, value);
  write.Put(engine_[Family::kJournal], TailKey(stream, piece->number), value);
  piece->entries = std::move(entries);
  staged_pieces_.push_back({stream, now_unix_ns, std::move(piece)});
}

void LogStore::Stage(const AppendBatch& batch, int64_t now_unix_ns, rocksdb::WriteBatch& write) {
  for (const auto& rows : batch.logs) {
    std::vector<LogEntry> entries;
    if (rows.stream == 0 || rows.stream > last_id_ ||
        !TakeNew(batch, rows, now_unix_ns, write, entries))
      continue;
    const auto stream = static_cast<uint32_t>(rows.stream);
    std::vector<LogEntry> part;
    size_t bytes = 0;
    for (LogEntry& entry : entries) {
      bytes += BytesOf(entry);
      part.push_back(std::move(entry));
      if (bytes < kMaxPieceBytes) continue;
      StagePiece(stream, std::exchange(part, {}), now_unix_ns, write);
      bytes = 0;
    }
    if (!part.empty()) StagePiece(stream, std::move(part), now_unix_ns, write);
  }
}

void LogStore::StageBlock(uint32_t id, const Stream& stream, rocksdb::WriteBatch& write) {
  std::vector<LogEntry> entries;
  for (const auto& piece : stream.tail) {
    entries.insert(entries.end(), piece->entries.begin(), piece->entries.end());
  }
  std::stable_sort(entries.begin(), entries.end(), [](const LogEntry& a, const LogEntry& b) {
    return a.time_unix_ns < b.time_unix_ns;
  });
  const uint64_t through = stream.tail.back()->number;
  for (size_t begin = 0; begin < entries.size();) {
    const int64_t day = DayOfNs(entries[begin].time_unix_ns);
    size_t bytes = 0;
    size_t end = begin;
    for (; end < entries.size() && DayOfNs(entries[end].time_unix_ns) == day &&
           bytes < 2 * kBlockBytes;
         ++end) {
      bytes += BytesOf(entries[end]);
    }
    const std::span<const LogEntry> part(entries.data() + begin, end - begin);
    std::string key = DayKey(day);
    PutBe32(key, id);
    PutBeTime(key, part.front().time_unix_ns);
    PutBe64(key, through);
    PutBe32(key, static_cast<uint32_t>(begin));
    std::string value;
    PutVarint(value, static_cast<uint64_t>(part.back().time_unix_ns - part.front().time_unix_ns));
    PutVarint(value, through);
    PutVarint(value, part.size());
    PutVarint(value, bytes);
    write.Put(engine_[Family::kLogs], TextKey(kLogIndexKey, key), value);
    value.clear();
    EncodeLogBlock(part, kBlockLevel, value);
    write.Put(engine_[Family::kLogs], TextKey(kLogBlockKey, key), value);
    begin = end;
  }
  write.DeleteRange(engine_[Family::kJournal], TailKey(id, 0), TailKey(id, through + 1));
  std::string range;
  PutSigned(range, stream.min_unix_ns);
  PutSigned(range, stream.max_unix_ns);
  PutVarint(range, through);
  write.Put(engine_[Family::kMeta], IdKey(kStreamRangeKey, id), range);
  staged_cuts_.emplace_back(id, through);
}

void LogStore::StageBlocks(int64_t now_unix_ns, rocksdb::WriteBatch& write) {
  {
    std::lock_guard lock(intern_mutex_);
    std::move(new_definitions_.begin(), new_definitions_.end(),
              std::back_inserter(staged_definitions_));
    new_definitions_.clear();
  }
  for (const auto& [key, value] : staged_definitions_)
    write.Put(engine_[Family::kMeta], key, value);
  const bool cut_all = tail_bytes_ > kMaxTailBytes;
  for (const auto& [id, stream] : streams_) {
    if (!stream.tail.empty() && (cut_all || stream.BlockDue(now_unix_ns)))
      StageBlock(id, stream, write);
  }
}

void LogStore::AddPiece(uint32_t id, std::shared_ptr<const Piece> piece, int64_t now_unix_ns) {
  Stream& stream = streams_[id];
  if (stream.tail.empty()) stream.tail_since_unix_ns = now_unix_ns;
  for (const LogEntry& entry : piece->entries) {
    stream.min_unix_ns = std::min(stream.min_unix_ns, entry.time_unix_ns);
    stream.max_unix_ns = std::max(stream.max_unix_ns, entry.time_unix_ns);
  }
  stream.tail_bytes += piece->bytes;
  tail_bytes_ += piece->bytes;
  last_piece_ = std::max(last_piece_, piece->number);
  stream.tail.push_back(std::move(piece));
}

void LogStore::Publish() {
  staged_definitions_.clear();
  records_ += std::exchange(staged_records_, 0);
  duplicates_ += std::exchange(staged_duplicates_, 0);
  for (const auto& [name, end] : staged_files_) files_[name] = end;
  staged_files_.clear();
  if (staged_cuts_.empty() && staged_pieces_.empty()) return;
  std::unique_lock lock(streams_mutex_);
  for (const auto& [id, through] : staged_cuts_) {
    Stream& stream = streams_[id];
    tail_bytes_ -= stream.tail_bytes;
    stream.tail.clear();
    stream.tail_bytes = 0;
  }
  staged_cuts_.clear();
  for (StagedPiece& staged : staged_pieces_)
    AddPiece(staged.stream, std::move(staged.piece), staged.now_unix_ns);
  staged_pieces_.clear();
}

void LogStore::Discard() {
  staged_files_.clear();
  staged_pieces_.clear();
  staged_cuts_.clear();
  staged_records_ = staged_duplicates_ = 0;
}

bool LogStore::HasWork(int64_t now_unix_ns) const {
  return tail_bytes_ > kMaxTailBytes ||
         std::any_of(streams_.begin(), streams_.end(),
                     [&](const auto& entry) { return entry.second.BlockDue(now_unix_ns); });
}

Result<void> LogStore::LoadStreams() {
  FAULTLINE_TRY(engine_.Scan(
      Family::kMeta, std::string(1, kStreamKey), [&](std::string_view key, std::string_view value) {
        const uint32_t id = ByteReader(key.substr(1)).Be32();
        ByteReader in(value);
        Labels labels(in.Count(2));
        for (auto& [name, text] : labels) {
          name = std::string(in.Text());
          text = std::string(in.Text());
        }
        if (in.failed() || id <= last_id_ || labels.size() > kMaxLabels) {
          engine_.CountDamage();
          spdlog::error("store: definition of log stream {} is damaged; its lines cannot be found",
                        id);
          return;
        }
        index_.Add(id, labels);
        last_id_ = id;
      }));
  return engine_.Scan(Family::kMeta, std::string(1, kStreamRangeKey),
                      [&](std::string_view key, std::string_view value) {
                        Stream& stream = streams_[ByteReader(key.substr(1)).Be32()];
                        ByteReader in(value);
                        stream.min_unix_ns = in.Signed();
                        stream.max_unix_ns = in.Signed();
                        last_piece_ = std::max(last_piece_, in.Varint());
                      });
}

Result<void> LogStore::LoadTails() {
  return engine_.Scan(Family::kJournal, std::string(1, kTailKey),
                      [&](std::string_view row_key, std::string_view value) {
                        ByteReader key(row_key.substr(1));
                        const uint32_t id = key.Be32();
                        auto piece = std::make_shared<Piece>();
                        piece->number = key.Be64();
                        auto entries = DecodeLogBlock(value, INT64_MIN, INT64_MAX, {});
                        if (!entries) {
                          engine_.CountDamage();
                          spdlog::error(
                              "store: a piece of log stream {} is damaged and left out: {}", id,
                              entries.error().message);
                          return;
                        }
                        piece->entries = *std::move(entries);
                        for (const LogEntry& entry : piece->entries) piece->bytes += BytesOf(entry);
                        // As if it came now; a block is written in good time anyway.
                        AddPiece(id, std::move(piece), SystemClock().UnixNs());
                      });
}

Result<void> LogStore::LoadFiles() {
  return engine_.Scan(Family::kMeta, std::string(1, kFileKey),
                      [&](std::string_view row_key, std::string_view row) {
                        ByteReader key(row_key.substr(1));
                        FileName name;
                        name.first = std::string(key.Text());
                        name.second = key.Be64();
                        ByteReader value(row);
                        FileEnd end;
                        end.offset = value.Varint();
                        end.time_unix_ns = value.Signed();
                        files_[std::move(name)] = end;
                      });
}

Result<void> LogStore::Load() {
  FAULTLINE_TRY(LoadStreams());
  FAULTLINE_TRY(LoadTails());
  return LoadFiles();
}

Result<void> LogStore::Retain(int64_t oldest_unix_ns) {
  const std::string day = DayKey(DayOfNs(oldest_unix_ns));
  for (const char kind : {kLogIndexKey, kLogBlockKey}) {
    FAULTLINE_TRY(engine_.DropRange(Family::kLogs, kind + DayKey(INT32_MIN), kind + day));
  }
  rocksdb::WriteBatch batch;
  for (const auto& [name, end] : files_) {
    if (end.time_unix_ns < oldest_unix_ns)
      batch.Delete(engine_[Family::kMeta], FileKey(name.first, name.second));
  }
  FAULTLINE_TRY(engine_.Write(batch, false));
  std::erase_if(files_,
                [&](const auto& entry) { return entry.second.time_unix_ns < oldest_unix_ns; });
  const int64_t boundary = DayOfNs(oldest_unix_ns) * kNsPerDay;
  std::unique_lock lock(streams_mutex_);
  for (auto& [id, stream] : streams_) stream.min_unix_ns = std::max(stream.min_unix_ns, boundary);
  return {};
}

void LogStore::AddStats(StoreStats& stats) const {
  stats.log_records = records_;
  stats.log_duplicates = duplicates_;
}

}  // namespace faultline::store
