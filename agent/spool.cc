#include "agent/spool.h"

#include <rocksdb/cache.h>
#include <rocksdb/db.h>
#include <rocksdb/env.h>
#include <rocksdb/table.h>
#include <rocksdb/write_batch.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <bit>
#include <ctime>
#include <deque>
#include <filesystem>
#include <map>
#include <random>
#include <unordered_map>
#include <unordered_set>

#include "agent/log_window.h"
#include "common/assert.h"
#include "common/log.h"
#include "common/transport.h"

namespace faultline {
namespace {

constexpr uint64_t kPutReserveBytes = uint64_t{16} << 20;    // of the disk: memtables, logs and what others write meanwhile
constexpr uint64_t kRemoveReserveBytes = uint64_t{1} << 20;
constexpr uint64_t kMaxMemoryBytes = uint64_t{16} << 20;  // of a spool that is not on disk

static_assert(std::endian::native == std::endian::little, "values are written as they are");

template <typename T>
void AppendBig(std::string& key, T value) {
  for (int shift = static_cast<int>(sizeof value - 1) * 8; shift >= 0; shift -= 8) {
    key.push_back(static_cast<char>(value >> shift));
  }
}

template <typename T>
T ReadBig(std::string_view key, size_t at) {
  T value = 0;
  for (size_t i = 0; i < sizeof value; ++i) value = static_cast<T>(value << 8 | static_cast<uint8_t>(key[at + i]));
  return value;
}

template <typename T>
std::string Key(char kind, uint32_t ordinal, T number) {
  std::string key(1, kind);
  AppendBig(key, ordinal);
  AppendBig(key, number);
  return key;
}

std::string SessionKey(uint32_t ordinal) {
  std::string key(1, 'e');
  AppendBig(key, ordinal);
  return key;
}

std::string PositionKey(uint64_t file_id) {
  std::string key(1, 'p');
  AppendBig(key, file_id);
  return key;
}

struct Head {
  uint32_t records, bytes_and_kind, series_before, series_after, streams_before, streams_after;

  static constexpr uint32_t kLogs = uint32_t{1} << 31;  // carries log lines, whose positions have moved on, or forwarded OTLP
  uint32_t bytes() const { return bytes_and_kind & ~kLogs; }
  bool has_logs() const { return (bytes_and_kind & kLogs) != 0; }
};
static_assert(sizeof(Head) == 24);

rocksdb::Slice AsSlice(const Head& head) {
  return {reinterpret_cast<const char*>(&head), sizeof head};
}

rocksdb::Slice AsSlice(const uint64_t& number) {
  return {reinterpret_cast<const char*>(&number), sizeof number};
}

std::optional<Head> AsHead(const rocksdb::Slice& value) {
  if (value.size() != sizeof(Head)) return std::nullopt;
  Head head;
  std::memcpy(&head, value.data(), sizeof head);
  return head;
}

Result<void> Check(const rocksdb::Status& status, std::string_view what) {
  if (status.ok()) return {};
  const ErrorCode code = status.IsCorruption()                     ? ErrorCode::kCorruption
                         : status.IsNoSpace() || status.IsIOError() ? ErrorCode::kUnavailable
                                                                    : ErrorCode::kInternal;
  return Fail(code, "spool: {}: {}", what, status.ToString());
}

// One of a few megabytes that mostly holds nothing: no cache to speak of, one background thread, no statistics.
rocksdb::Options SmallDatabase(rocksdb::Env* env) {
  rocksdb::Options options;
  options.env = env;
  options.create_if_missing = true;
  options.write_buffer_size = size_t{4} << 20;
  options.arena_block_size = size_t{64} << 10;
  options.max_write_buffer_number = 2;
  options.max_total_wal_size = uint64_t{8} << 20;
  options.max_background_jobs = 1;
  options.max_open_files = 32;
  options.compression = rocksdb::kNoCompression;  // payloads are compressed
  options.target_file_size_base = uint64_t{8} << 20;
  options.stats_dump_period_sec = 0;
  options.stats_persist_period_sec = 0;
  options.info_log_level = rocksdb::ERROR_LEVEL;
  options.keep_log_file_num = 1;
  options.avoid_flush_during_shutdown = true;
  options.avoid_unnecessary_blocking_io = true;
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = rocksdb::NewLRUCache(size_t{256} << 10, 0);
  table.block_size = size_t{16} << 10;
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  env->SetBackgroundThreads(1, rocksdb::Env::LOW);
  env->SetBackgroundThreads(0, rocksdb::Env::HIGH);
  return options;
}

}  // namespace

struct Spool::Impl {
  // Batches of a session lie between first and last, without holes except those that Discard made.
  struct Session {
    uint64_t id = 0;
    uint64_t first = 1;
    uint64_t last = 0;
    uint64_t batches = 0;
  };

  SpoolOptions options;
  std::unique_ptr<rocksdb::Env> memory;
  std::unique_ptr<rocksdb::DB> db;
  std::map<uint32_t, Session> sessions;  // by ordinal
  uint32_t ordinal = 0;                  // of the current one
  uint32_t series = 0;                   // definitions of the current session
  uint32_t streams = 0;
  uint64_t bytes = 0;
  uint64_t log_bytes = 0;
  uint64_t batches = 0;
  uint64_t records = 0;
  // All that is left before it carries logs.
  std::pair<uint32_t, uint64_t> room_cursor;
  LogWindow window{0};
  // Batches with logs of the current session that are on the road, and since when (steady).
  std::deque<std::pair<uint64_t, int64_t>> log_road;
  mutable std::unordered_set<uint64_t> used_logs;       // asked for or written in this run
  std::unordered_map<uint64_t, uint64_t> skipped_logs;  // in this run: positions never go back before
  Counters counters;
  std::function<void()> on_put;
  std::mt19937_64 random{std::random_device{}()};

  Result<void> OpenDatabase();
  Result<void> Load();
  Result<void> StartSession();
  Result<void> MakeRoom(uint64_t wanted);
  std::map<uint32_t, Session>::iterator Find(uint64_t id);
  std::map<uint32_t, Session>::const_iterator Find(uint64_t id) const {
    return const_cast<Impl*>(this)->Find(id);
  }
  std::optional<Head> ReadHead(uint32_t at, uint64_t sequence) const;
  Result<uint64_t> Remove(uint32_t at, uint64_t up_to);
  Result<void> Drop(uint32_t at, uint64_t sequence);
  std::optional<std::pair<uint32_t, uint64_t>> Expendable();
  void Subtract(const Head& head);
  void Forget(uint32_t at);
  Result<void> CheckSpace(uint64_t reserve_bytes) const;
  Result<void> Write(rocksdb::WriteBatch* writes, std::string_view what);
};

Result<void> Spool::Impl::OpenDatabase() {
  rocksdb::Env* env = rocksdb::Env::Default();
  if (options.folder.empty()) {
    memory.reset(rocksdb::NewMemEnv(env));
    env = memory.get();
    options.max_bytes = std::min(options.max_bytes, kMaxMemoryBytes);
  } else {
    std::error_code error;
    std::filesystem::create_directories(options.folder, error);
    if (error) return Fail(ErrorCode::kPermissionDenied, "make {}: {}", options.folder, error.message());
  }
  const std::string folder = options.folder.empty() ? "/spool" : options.folder;
  const rocksdb::Options settings = SmallDatabase(env);
  rocksdb::DB* opened = nullptr;
  rocksdb::Status status = rocksdb::DB::Open(settings, folder, &opened);
  if (status.IsCorruption()) {
    const std::string aside = fmt::format("{}.corrupt-{}", folder, std::time(nullptr));
    spdlog::error("spool {} cannot be read, moved to {}: {}", folder, aside, status.ToString());
    std::error_code error;
    std::filesystem::rename(folder, aside, error);
    if (error) return Fail(ErrorCode::kCorruption, "move {}: {}", folder, error.message());
    status = rocksdb::DB::Open(settings, folder, &opened);
  }
  FAULTLINE_TRY(Check(status, "open " + folder));
  db.reset(opened);
  return {};
}

// Heads alone say what is there: the batches themselves are not read.
Result<void> Spool::Impl::Load() {
  const std::unique_ptr<rocksdb::Iterator> at(db->NewIterator(rocksdb::ReadOptions()));
  for (at->Seek("e"); at->Valid() && at->key().size() == 5 && at->key()[0] == 'e'; at->Next()) {
    const uint32_t number = ReadBig<uint32_t>(at->key().ToStringView(), 1);
    Session session;
    if (at->value().size() != sizeof session.id) continue;
    std::memcpy(&session.id, at->value().data(), sizeof session.id);
    sessions[number] = session;
    ordinal = number;
  }
  for (at->Seek("h"); at->Valid() && at->key().size() == 13 && at->key()[0] == 'h'; at->Next()) {
    const auto session = sessions.find(ReadBig<uint32_t>(at->key().ToStringView(), 1));
    const auto head = AsHead(at->value());
    if (session == sessions.end() || !head) continue;
    const uint64_t sequence = ReadBig<uint64_t>(at->key().ToStringView(), 5);
    if (session->second.batches++ == 0) session->second.first = sequence;
    session->second.last = sequence;
    ++batches;
    bytes += head->bytes();
    log_bytes += head->has_logs() ? head->bytes() : 0;
    records += head->records;
  }
  FAULTLINE_TRY(Check(at->status(), "read what is there"));
  counters.recovered_records = records;
  for (auto session = sessions.begin(); session != sessions.end();) {
    const auto next = std::next(session);
    if (session->second.batches == 0) Forget(session->first);
    session = next;
  }
  return {};
}

Result<void> Spool::Impl::StartSession() {
  uint64_t id = 0;
  while (id == 0) id = random();
  const uint32_t next = ordinal + 1;
  FAULTLINE_TRY(Check(db->Put(rocksdb::WriteOptions(), SessionKey(next),
                              rocksdb::Slice(reinterpret_cast<const char*>(&id), sizeof id)),
                      "start a session"));
  const uint32_t before = ordinal;
  ordinal = next;
  log_road.clear();
  sessions[ordinal].id = id;
  series = 0;
  streams = 0;
  if (const auto old = sessions.find(before); old != sessions.end() && old->second.batches == 0) {
    Forget(before);
  }
  return {};
}

std::map<uint32_t, Spool::Impl::Session>::iterator Spool::Impl::Find(uint64_t id) {
  // Newest first: that is nearly always the one.
  for (auto at = sessions.end(); at != sessions.begin();) {
    if ((--at)->second.id == id) return at;
  }
  return sessions.end();
}

std::optional<Head> Spool::Impl::ReadHead(uint32_t at, uint64_t sequence) const {
  rocksdb::PinnableSlice value;
  if (!db->Get(rocksdb::ReadOptions(), db->DefaultColumnFamily(), Key('h', at, sequence), &value).ok()) {
    return std::nullopt;
  }
  return AsHead(value);
}

// Debian's RocksDB aborts at the write after one that found no space: none may find that. Removing needs little.
Result<void> Spool::Impl::CheckSpace(uint64_t reserve_bytes) const {
  struct statvfs disk{};
  if (options.folder.empty() || statvfs(options.folder.c_str(), &disk) != 0) return {};
  const uint64_t free_bytes = uint64_t{disk.f_bavail} * disk.f_frsize;
  if (free_bytes >= reserve_bytes) return {};
  return Fail(ErrorCode::kUnavailable, "spool: {} has {} bytes free, less than the {} that are kept free", options.folder,
              free_bytes, reserve_bytes);
}

Result<void> Spool::Impl::Write(rocksdb::WriteBatch* writes, std::string_view what) {
  FAULTLINE_TRY(CheckSpace(kRemoveReserveBytes));
  const rocksdb::Status status = db->Write(rocksdb::WriteOptions(), writes);
  // After a full disk the database refuses writes until told that the cause is gone.
  if (!status.ok()) (void)db->Resume();
  return Check(status, what);
}

// Removes the batches of a session up to and including `up_to`; returns how many records they had.
Result<uint64_t> Spool::Impl::Remove(uint32_t at, uint64_t up_to) {
  Session& session = sessions.at(at);
  uint64_t gone_records = 0;
  std::vector<Head> gone;
  rocksdb::WriteBatch writes;
  const uint64_t end = std::min(up_to, session.last);
  for (uint64_t sequence = session.first; sequence <= end; ++sequence) {
    const auto head = ReadHead(at, sequence);
    if (!head) continue;
    gone.push_back(*head);
    writes.Delete(Key('h', at, sequence));
    writes.Delete(Key('b', at, sequence));
  }
  if (!gone.empty()) FAULTLINE_TRY(Write(&writes, "remove batches"));
  session.first = std::max(session.first, end + 1);
  session.batches -= gone.size();
  for (const Head& head : gone) {
    Subtract(head);
    gone_records += head.records;
  }
  if (session.batches == 0 && at != ordinal) Forget(at);
  return gone_records;
}

void Spool::Impl::Forget(uint32_t at) {
  rocksdb::WriteBatch writes;
  writes.Delete(SessionKey(at));
  for (const char kind : {'s', 'l'}) {
    writes.DeleteRange(Key<uint32_t>(kind, at, 0), Key<uint32_t>(kind, at + 1, 0));
  }
  if (const auto written = Write(&writes, "forget a session"); !written) {
    spdlog::warn("{}", written.error().message);
  }
  sessions.erase(at);
}

void Spool::Impl::Subtract(const Head& head) {
  bytes -= head.bytes();
  log_bytes -= head.has_logs() ? head.bytes() : 0;
  records -= head.records;
  --batches;
}

// One batch that nobody will take any more.
Result<void> Spool::Impl::Drop(uint32_t at, uint64_t sequence) {
  const auto head = ReadHead(at, sequence);
  if (!head) return {};
  rocksdb::WriteBatch writes;
  writes.Delete(Key('h', at, sequence));
  writes.Delete(Key('b', at, sequence));
  FAULTLINE_TRY(Write(&writes, "drop a batch"));
  Session& session = sessions.at(at);
  --session.batches;
  if (session.first == sequence) ++session.first;
  Subtract(*head);
  counters.dropped_records += head->records;
  ++counters.dropped_batches;
  if (session.batches == 0 && at != ordinal) Forget(at);
  return {};
}

// The oldest batch without logs, or else the oldest of all.
std::optional<std::pair<uint32_t, uint64_t>> Spool::Impl::Expendable() {
  for (auto at = sessions.lower_bound(room_cursor.first); at != sessions.end(); ++at) {
    uint64_t sequence = at->second.first;
    if (at->first == room_cursor.first) sequence = std::max(sequence, room_cursor.second);
    for (; at->second.batches > 0 && sequence <= at->second.last; ++sequence) {
      room_cursor = {at->first, sequence};
      const auto head = ReadHead(at->first, sequence);
      if (head && !head->has_logs()) return room_cursor;
    }
    room_cursor = {at->first, at->second.last + 1};
  }
  for (const auto& [number, session] : sessions) {
    for (uint64_t sequence = session.first; session.batches > 0 && sequence <= session.last; ++sequence) {
      if (ReadHead(number, sequence)) return std::pair(number, sequence);
    }
  }
  return std::nullopt;
}

Result<void> Spool::Impl::MakeRoom(uint64_t wanted) {
  while (batches > 0 && bytes + wanted > options.max_bytes) {
    const auto victim = Expendable();
    if (!victim) return {};
    FAULTLINE_TRY(Drop(victim->first, victim->second));
  }
  return {};
}

Spool::Spool(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Spool::~Spool() = default;

Result<std::unique_ptr<Spool>> Spool::Open(const SpoolOptions& options) {
  auto impl = std::make_unique<Impl>();
  impl->options = options;
  impl->window = LogWindow(options.log_window_bytes);
  FAULTLINE_TRY(impl->OpenDatabase());
  FAULTLINE_TRY(impl->Load());
  FAULTLINE_TRY(impl->StartSession());
  return std::unique_ptr<Spool>(new Spool(std::move(impl)));
}

Result<void> Spool::Put(v1::Batch& batch, uint64_t records) {
  Impl& impl = *impl_;
  Impl::Session& session = impl.sessions.at(impl.ordinal);
  batch.set_session(session.id);
  batch.set_sequence(session.last + 1);
  batch.set_previous_sequence(session.last);
  const std::string payload = Compress(batch.SerializeAsString());
  FAULTLINE_TRY(impl.CheckSpace(kPutReserveBytes));
  FAULTLINE_TRY(impl.MakeRoom(payload.size()));

  // What cannot be had again: lines of files, and what exporters were told is taken.
  const bool has_logs = batch.otlp_size() > 0 ||
                        std::ranges::any_of(batch.logs(), [](const auto& frame) { return frame.file_id() != 0; });
  Head head{.records = static_cast<uint32_t>(records),
            .bytes_and_kind = static_cast<uint32_t>(payload.size()) | (has_logs ? Head::kLogs : 0),
            .series_before = impl.series,
            .series_after = impl.series,
            .streams_before = impl.streams,
            .streams_after = impl.streams};
  rocksdb::WriteBatch writes;
  for (const v1::SeriesDefinition& definition : batch.series()) {
    writes.Put(Key('s', impl.ordinal, definition.ref()), definition.SerializeAsString());
    head.series_after = std::max(head.series_after, definition.ref());
  }
  for (const v1::LogStreamDefinition& definition : batch.log_streams()) {
    writes.Put(Key('l', impl.ordinal, definition.ref()), definition.SerializeAsString());
    head.streams_after = std::max(head.streams_after, definition.ref());
  }
  for (const v1::LogFrame& frame : batch.logs()) {
    if (frame.file_id() == 0) continue;
    uint64_t end = frame.end_offset();
    if (const auto skipped = impl.skipped_logs.find(frame.file_id()); skipped != impl.skipped_logs.end())
      end = std::max(end, skipped->second);
    writes.Put(PositionKey(frame.file_id()), AsSlice(end));
    impl.used_logs.insert(frame.file_id());
  }
  const uint64_t sequence = session.last + 1;
  writes.Put(Key('b', impl.ordinal, sequence), payload);
  writes.Put(Key('h', impl.ordinal, sequence), AsSlice(head));
  FAULTLINE_TRY(impl.Write(&writes, "write a batch"));

  session.last = sequence;
  ++session.batches;
  impl.series = head.series_after;
  impl.streams = head.streams_after;
  impl.bytes += payload.size();
  impl.log_bytes += has_logs ? payload.size() : 0;
  ++impl.batches;
  impl.records += records;
  impl.counters.appended_records += records;
  if (has_logs && impl.options.clock != nullptr) impl.log_road.emplace_back(sequence, impl.options.clock->SteadyNs());
  if (impl.on_put) impl.on_put();
  return {};
}

bool Spool::Congested(LogRoom room) const {
  const SpoolOptions& options = impl_->options;
  uint64_t limit = options.max_bytes / 2;
  if (room != LogRoom::kAtRisk) limit = std::min(limit, options.log_window_bytes);
  if (room == LogRoom::kBulk && options.clock != nullptr) limit = std::min(limit, impl_->window.bytes());
  if (impl_->log_bytes <= limit) return false;
  if (room == LogRoom::kBulk) impl_->window.Held();
  return true;
}

void Spool::OnPut(std::function<void()> call) { impl_->on_put = std::move(call); }

Result<void> Spool::StartSession() { return impl_->StartSession(); }

uint64_t Spool::session() const { return impl_->sessions.at(impl_->ordinal).id; }

std::vector<uint64_t> Spool::Sessions() const {
  std::vector<uint64_t> ids;
  for (const auto& [ordinal, session] : impl_->sessions) {
    if (session.batches > 0 || ordinal == impl_->ordinal) ids.push_back(session.id);
  }
  return ids;
}

Result<std::optional<Spool::SpooledBatch>> Spool::Read(uint64_t session, uint64_t sequence) const {
  const auto at = std::as_const(*impl_).Find(session);
  if (at == impl_->sessions.end()) return std::optional<SpooledBatch>();
  uint64_t number = std::max(sequence, at->second.first);
  std::optional<Head> head;
  for (; number <= at->second.last; ++number) {
    head = impl_->ReadHead(at->first, number);
    if (head) break;
  }
  if (!head) return std::optional<SpooledBatch>();
  SpooledBatch batch{.session = session,
                     .sequence = number,
                     .records = head->records,
                     .series_before = head->series_before,
                     .series_after = head->series_after,
                     .streams_before = head->streams_before,
                     .streams_after = head->streams_after,
                     .payload = {}};
  FAULTLINE_TRY(Check(impl_->db->Get(rocksdb::ReadOptions(), Key('b', at->first, number), &batch.payload),
                      "read a batch"));
  return batch;
}

Result<void> Spool::Acknowledge(uint64_t session, uint64_t sequence) {
  const auto at = impl_->Find(session);
  if (at == impl_->sessions.end()) return {};
  FAULTLINE_ASSIGN(const uint64_t gone, impl_->Remove(at->first, sequence));
  impl_->counters.delivered_records += gone;
  auto& road = impl_->log_road;
  if (at->first != impl_->ordinal || road.empty() || road.front().first > sequence) return {};
  const int64_t now = impl_->options.clock->SteadyNs();
  impl_->window.Acknowledged(now - road.front().second, now);
  while (!road.empty() && road.front().first <= sequence) road.pop_front();
  return {};
}

Result<void> Spool::Discard(uint64_t session, uint64_t sequence) {
  const auto at = impl_->Find(session);
  return at == impl_->sessions.end() ? Result<void>() : impl_->Drop(at->first, sequence);
}

uint64_t Spool::LastSequence(uint64_t session) const {
  const auto at = std::as_const(*impl_).Find(session);
  return at == impl_->sessions.end() ? 0 : at->second.last;
}

Result<v1::Definitions> Spool::ReadDefinitions(uint64_t session, uint32_t first_series,
                                               uint32_t last_series, uint32_t first_stream,
                                               uint32_t last_stream) const {
  v1::Definitions definitions;
  definitions.set_session(session);
  const auto at = std::as_const(*impl_).Find(session);
  if (at == impl_->sessions.end()) return definitions;
  std::string value;
  for (uint32_t ref = first_series; ref <= last_series; ++ref) {
    FAULTLINE_TRY(Check(impl_->db->Get(rocksdb::ReadOptions(), Key('s', at->first, ref), &value),
                        fmt::format("read the definition of series {}", ref)));
    if (!definitions.add_series()->ParseFromString(value)) {
      return Fail(ErrorCode::kCorruption, "spool: definition of series {}", ref);
    }
  }
  for (uint32_t ref = first_stream; ref <= last_stream; ++ref) {
    FAULTLINE_TRY(Check(impl_->db->Get(rocksdb::ReadOptions(), Key('l', at->first, ref), &value),
                        fmt::format("read the definition of log stream {}", ref)));
    if (!definitions.add_log_streams()->ParseFromString(value)) {
      return Fail(ErrorCode::kCorruption, "spool: definition of log stream {}", ref);
    }
  }
  return definitions;
}

uint64_t Spool::LogPosition(uint64_t file_id) const {
  impl_->used_logs.insert(file_id);
  rocksdb::PinnableSlice value;
  uint64_t end = 0;
  const auto status = impl_->db->Get(rocksdb::ReadOptions(), impl_->db->DefaultColumnFamily(),
                                     PositionKey(file_id), &value);
  if (status.ok() && value.size() == sizeof end) std::memcpy(&end, value.data(), sizeof end);
  return end;
}

Result<void> Spool::SkipLog(uint64_t file_id, uint64_t position) {
  if (position <= LogPosition(file_id)) return {};
  impl_->skipped_logs[file_id] = position;
  rocksdb::WriteBatch writes;
  writes.Put(PositionKey(file_id), AsSlice(position));
  return impl_->Write(&writes, "skip what was given up of a log");
}

Result<void> Spool::ForgetLog(uint64_t file_id) {
  impl_->used_logs.erase(file_id);
  impl_->skipped_logs.erase(file_id);
  rocksdb::WriteBatch writes;
  writes.Delete(PositionKey(file_id));
  return impl_->Write(&writes, "forget a log");
}

Result<uint64_t> Spool::ForgetUnusedLogs() {
  uint64_t gone = 0;
  rocksdb::WriteBatch writes;
  const std::unique_ptr<rocksdb::Iterator> at(impl_->db->NewIterator(rocksdb::ReadOptions()));
  for (at->Seek("p"); at->Valid() && at->key().size() == 9 && at->key()[0] == 'p'; at->Next()) {
    if (impl_->used_logs.contains(ReadBig<uint64_t>(at->key().ToStringView(), 1))) continue;
    writes.Delete(at->key());
    ++gone;
  }
  FAULTLINE_TRY(Check(at->status(), "read positions of logs"));
  if (gone > 0) FAULTLINE_TRY(impl_->Write(&writes, "forget logs that are gone"));
  return gone;
}

uint64_t Spool::bytes() const { return impl_->bytes; }
uint64_t Spool::log_bytes() const { return impl_->log_bytes; }
uint64_t Spool::batches() const { return impl_->batches; }
uint64_t Spool::records() const { return impl_->records; }
const Spool::Counters& Spool::counters() const { return impl_->counters; }

}  // namespace faultline
