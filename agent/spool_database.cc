#include "agent/spool_database.h"

#include <rocksdb/cache.h>
#include <rocksdb/table.h>
#include <sys/statvfs.h>

#include <ctime>
#include <filesystem>

#include "common/log.h"

namespace faultline {
namespace {

// No cache to speak of, one background thread, no statistics.
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

Result<void> CheckStatus(const rocksdb::Status& status, std::string_view what) {
  if (status.ok()) return {};
  const ErrorCode code = status.IsCorruption()                     ? ErrorCode::kCorruption
                         : status.IsNoSpace() || status.IsIOError() ? ErrorCode::kUnavailable
                                                                    : ErrorCode::kInternal;
  return Fail(code, "spool: {}: {}", what, status.ToString());
}

Result<std::unique_ptr<SpoolDatabase>> SpoolDatabase::Open(const std::string& folder) {
  auto opened = std::make_unique<SpoolDatabase>();
  opened->folder_ = folder;
  rocksdb::Env* env = rocksdb::Env::Default();
  if (folder.empty()) {
    opened->memory_.reset(rocksdb::NewMemEnv(env));
    env = opened->memory_.get();
  } else {
    std::error_code error;
    std::filesystem::create_directories(folder, error);
    if (error) return Fail(ErrorCode::kPermissionDenied, "make {}: {}", folder, error.message());
  }
  const std::string path = folder.empty() ? "/spool" : folder;
  const rocksdb::Options settings = SmallDatabase(env);
  rocksdb::DB* db = nullptr;
  rocksdb::Status status = rocksdb::DB::Open(settings, path, &db);
  if (status.IsCorruption()) {
    const std::string aside = fmt::format("{}.corrupt-{}", path, std::time(nullptr));
    spdlog::error("spool {} cannot be read, moved to {}: {}", path, aside, status.ToString());
    std::error_code error;
    std::filesystem::rename(path, aside, error);
    if (error) return Fail(ErrorCode::kCorruption, "move {}: {}", path, error.message());
    status = rocksdb::DB::Open(settings, path, &db);
  }
  FAULTLINE_TRY(CheckStatus(status, "open " + path));
  opened->db_.reset(db);
  return opened;
}

// Debian's RocksDB aborts at the write after one that found no space: none may find that. Removing needs little.
Result<void> SpoolDatabase::CheckSpace(uint64_t reserve_bytes) const {
  struct statvfs disk{};
  if (folder_.empty() || statvfs(folder_.c_str(), &disk) != 0) return {};
  const uint64_t free_bytes = uint64_t{disk.f_bavail} * disk.f_frsize;
  if (free_bytes >= reserve_bytes) return {};
  return Fail(ErrorCode::kUnavailable, "spool: {} has {} bytes free, less than the {} that are kept free", folder_,
              free_bytes, reserve_bytes);
}

Result<void> SpoolDatabase::Write(rocksdb::WriteBatch* writes, std::string_view what) {
  FAULTLINE_TRY(CheckSpace(kRemoveReserveBytes));
  const rocksdb::Status status = db_->Write(rocksdb::WriteOptions(), writes);
  // After a full disk the database refuses writes until told that the cause is gone.
  if (!status.ok()) (void)db_->Resume();
  return CheckStatus(status, what);
}

bool SpoolDatabase::Get(const std::string& key, rocksdb::PinnableSlice* value) const {
  return db_->Get(rocksdb::ReadOptions(), db_->DefaultColumnFamily(), key, value).ok();
}

std::unique_ptr<rocksdb::Iterator> SpoolDatabase::Scan() const {
  return std::unique_ptr<rocksdb::Iterator>(db_->NewIterator(rocksdb::ReadOptions()));
}

}  // namespace faultline
