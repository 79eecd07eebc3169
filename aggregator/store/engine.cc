#include "aggregator/store/engine.h"

#include <rocksdb/cache.h>
#include <rocksdb/convenience.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/sst_file_reader.h>
#include <rocksdb/table.h>
#include <rocksdb/utilities/checkpoint.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <filesystem>

#include "common/log.h"

namespace faultline::store {
namespace {

constexpr const char* kFamilyNames[kFamilies] = {"default", "journal", "heads",
                                                 "chunks",  "logs",    "records"};
constexpr uint64_t kMiB = 1 << 20;
// A full disk is refused early, so that RocksDB can still flush and compact its way out.
constexpr uint64_t kReserveBytes = 256 * kMiB;
constexpr uint64_t kReservePartOfVolume = 20;
constexpr uint64_t kMaxSettleBytes = 1024 * kMiB;

rocksdb::ColumnFamilyOptions FamilyOptions(Family family,
                                           const std::shared_ptr<rocksdb::Cache>& cache) {
  rocksdb::ColumnFamilyOptions options;
  options.write_buffer_size = 32 * kMiB;
  options.level_compaction_dynamic_level_bytes = true;
  options.compression = rocksdb::kZSTD;
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = cache;
  table.format_version = 5;
  table.block_size = family == Family::kChunks ? 32 << 10 : 16 << 10;
  if (family == Family::kJournal || family == Family::kLogs) {
    options.compression = rocksdb::kNoCompression;  // values are zstd frames already
  }
  if (family == Family::kMeta) table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  return options;
}

rocksdb::DBOptions DatabaseOptions() {
  rocksdb::DBOptions options;
  options.create_if_missing = true;
  options.create_missing_column_families = true;
  options.max_background_jobs = 2;
  options.db_write_buffer_size = 64 * kMiB;
  options.max_total_wal_size = 64 * kMiB;
  options.bytes_per_sync = kMiB;
  options.keep_log_file_num = 2;
  options.max_log_file_size = 4 * kMiB;
  options.info_log_level = rocksdb::WARN_LEVEL;
  options.max_open_files = 512;
  return options;
}

}  // namespace

Error ToError(const rocksdb::Status& status, std::string_view what) {
  ErrorCode code = ErrorCode::kInternal;
  if (status.IsNotFound()) code = ErrorCode::kNotFound;
  if (status.IsCorruption()) code = ErrorCode::kCorruption;
  if (status.IsInvalidArgument()) code = ErrorCode::kInvalidArgument;
  if (status.IsIOError() || status.IsTryAgain() || status.IsBusy()) code = ErrorCode::kUnavailable;
  if (status.IsNoSpace()) code = ErrorCode::kResourceExhausted;
  return {code, fmt::format("store: {}: {}", what, status.ToString())};
}

std::string KeyPlus(std::string key, uint64_t step) {
  for (size_t i = key.size(); i > 0 && step != 0; --i) {
    const uint64_t sum = static_cast<uint8_t>(key[i - 1]) + (step & 0xff);
    key[i - 1] = static_cast<char>(sum);
    step = (step >> 8) + (sum >> 8);
  }
  return key;
}

std::string PrefixEnd(std::string prefix) {
  while (!prefix.empty() && prefix.back() == '\xff') prefix.pop_back();
  if (!prefix.empty()) prefix.back() = static_cast<char>(prefix.back() + 1);
  return prefix;
}

Engine::Engine(std::string folder, rocksdb::DB* db,
               std::vector<rocksdb::ColumnFamilyHandle*> families)
    : folder_(std::move(folder)), db_(db), families_(std::move(families)) {}

Engine::~Engine() {
  settler_.request_stop();
  if (settler_.joinable()) settler_.join();
  if (const auto flushed = Flush(); !flushed)
    spdlog::warn("store: at closing: {}", flushed.error().message);
  for (auto* family : families_) db_->DestroyColumnFamilyHandle(family);
  db_->Close();
}

Result<std::unique_ptr<Engine>> Engine::Open(const std::string& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) return FailErrno(error.value(), "store: make folder {}", folder);
  const auto cache = rocksdb::NewLRUCache(64 * kMiB);
  std::vector<rocksdb::ColumnFamilyDescriptor> descriptors;
  for (size_t i = 0; i < kFamilies; ++i) {
    descriptors.emplace_back(kFamilyNames[i], FamilyOptions(static_cast<Family>(i), cache));
  }
  rocksdb::DB* db = nullptr;
  std::vector<rocksdb::ColumnFamilyHandle*> families;
  const auto status = rocksdb::DB::Open(DatabaseOptions(), folder, descriptors, &families, &db);
  if (!status.ok()) return std::unexpected(ToError(status, "open " + folder));
  return std::unique_ptr<Engine>(new Engine(folder, db, std::move(families)));
}

Result<void> Engine::CheckSpace(uint64_t bytes) const {
  struct statvfs volume;
  if (::statvfs(folder_.c_str(), &volume) != 0) return {};
  const uint64_t total = volume.f_blocks * volume.f_frsize;
  const uint64_t left = volume.f_bavail * volume.f_frsize;
  const uint64_t reserve = std::min(kReserveBytes, total / kReservePartOfVolume);
  if (left >= reserve + 2 * bytes) return {};
  return Fail(ErrorCode::kResourceExhausted,
              "store: disk full: {} has {} MiB left, {} MiB are kept in reserve", folder_,
              left / kMiB, reserve / kMiB);
}

Result<void> Engine::Write(rocksdb::WriteBatch& batch, bool sync) {
  FAULTLINE_TRY(CheckSpace(batch.GetDataSize()));
  if (failed_) {
    if (const auto status = db_->Resume(); !status.ok())
      return std::unexpected(ToError(status, "resume"));
  }
  rocksdb::WriteOptions options;
  options.sync = sync;
  const auto status = db_->Write(options, &batch);
  failed_ = !status.ok();
  if (!status.ok()) return std::unexpected(ToError(status, "write"));
  return {};
}

Result<std::string> Engine::Get(Family family, std::string_view key) const {
  std::string value;
  const auto status = db_->Get(rocksdb::ReadOptions(), (*this)[family], ToSlice(key), &value);
  if (!status.ok()) return std::unexpected(ToError(status, "read"));
  return value;
}

Engine::Range::Range(const Engine& engine, Family family, std::string begin, std::string end)
    : begin_(std::move(begin)), end_(std::move(end)), lower_(begin_), upper_(end_) {
  rocksdb::ReadOptions options;
  options.iterate_lower_bound = &lower_;
  if (!end_.empty()) options.iterate_upper_bound = &upper_;
  iterator_.reset(engine.db_->NewIterator(options, engine[family]));
}

Result<void> Engine::Range::status() const {
  if (iterator_->status().ok()) return {};
  return std::unexpected(ToError(iterator_->status(), "read"));
}

Engine::Range Engine::Prefix(Family family, std::string prefix) const {
  return Range(*this, family, prefix, PrefixEnd(prefix));
}

Result<void> Engine::Scan(Family family, const std::string& prefix, const Visit& visit) const {
  Range range(*this, family, prefix, PrefixEnd(prefix));
  range->SeekToFirst();
  std::string last = prefix + std::string(8, '\0');
  uint64_t step = 1;
  while (true) {
    for (; range.Valid(); range->Next()) {
      visit(range.key(), range.value());
      last = range.key();
      step = 1;
    }
    const auto status = range.status();
    if (status) return {};
    if (status.error().code != ErrorCode::kCorruption || step == 0) return status;
    if (step == 1) {
      ++damages_;
      spdlog::error("store: what follows a key of {} is damaged and left out: {}",
                    kFamilyNames[static_cast<size_t>(family)], status.error().message);
    }
    // Feel for the end of the damaged block with growing steps.
    range->Seek(KeyPlus(last, step));
    step *= 2;
  }
}

Result<void> Engine::Flush() {
  const auto status = db_->Flush(rocksdb::FlushOptions(), families_);
  if (!status.ok()) return std::unexpected(ToError(status, "flush"));
  return {};
}

void Engine::SettleLater() {
  {
    std::lock_guard lock(settle_mutex_);
    settle_wanted_ = true;
    if (!settler_.joinable())
      settler_ = std::jthread([this](const std::stop_token& stop) { Settle(stop); });
  }
  settle_wake_.notify_one();
}

void Engine::Settle(const std::stop_token& stop) {
  std::atomic<bool> cancelled = false;
  const std::stop_callback cancel(stop, [&] { cancelled = true; });
  std::unique_lock lock(settle_mutex_);
  while (settle_wake_.wait(lock, stop, [&] { return settle_wanted_; })) {
    settle_wanted_ = false;
    lock.unlock();
    // Large stores are left to RocksDB's own compactions: rewriting them for a few old keys does
    // not pay.
    if (Flush() && BytesOnDisk() < kMaxSettleBytes) {
      rocksdb::CompactRangeOptions options;
      options.exclusive_manual_compaction = false;
      options.canceled = &cancelled;
      for (auto* family : families_) (void)db_->CompactRange(options, family, nullptr, nullptr);
    }
    lock.lock();
  }
}

Result<void> Engine::DropFiles(Family family, const std::string& begin, const std::string& end) {
  const rocksdb::Slice lower(begin);
  const rocksdb::Slice upper(end);
  const auto status =
      rocksdb::DeleteFilesInRange(db_.get(), (*this)[family], &lower, &upper, false);
  if (!status.ok()) return std::unexpected(ToError(status, "drop files"));
  return {};
}

Result<void> Engine::DropRange(Family family, const std::string& begin, const std::string& end) {
  const rocksdb::Slice lower(begin);
  const rocksdb::Slice upper(end);
  auto status = rocksdb::DeleteFilesInRange(db_.get(), (*this)[family], &lower, &upper, false);
  if (status.ok())
    status = db_->DeleteRange(rocksdb::WriteOptions(), (*this)[family], lower, upper);
  if (!status.ok()) return std::unexpected(ToError(status, "drop range"));
  return {};
}

Result<void> Engine::Checkpoint(const std::string& folder) {
  rocksdb::Checkpoint* checkpoint = nullptr;
  auto status = rocksdb::Checkpoint::Create(db_.get(), &checkpoint);
  const std::unique_ptr<rocksdb::Checkpoint> owned(checkpoint);
  if (status.ok()) status = checkpoint->CreateCheckpoint(folder);
  if (!status.ok()) return std::unexpected(ToError(status, "snapshot to " + folder));
  return {};
}

Result<std::vector<std::string>> Engine::Verify() const {
  std::vector<std::string> damages;
  std::vector<rocksdb::LiveFileMetaData> files;
  db_->GetLiveFilesMetaData(&files);
  for (const auto& file : files) {
    const std::string path = file.db_path + file.name;
    rocksdb::SstFileReader reader{rocksdb::Options()};
    auto status = reader.Open(path);
    if (status.ok()) status = reader.VerifyChecksum();
    // A file that a compaction has replaced meanwhile is no damage.
    if (status.ok() || !std::filesystem::exists(path)) continue;
    damages.push_back(fmt::format("{} ({}): {}", path, file.column_family_name, status.ToString()));
  }
  return damages;
}

uint64_t Engine::BytesOnDisk() const {
  uint64_t bytes = 0;
  std::error_code error;
  for (auto entry = std::filesystem::directory_iterator(folder_, error);
       !error && entry != std::filesystem::directory_iterator(); entry.increment(error)) {
    std::error_code gone;
    const auto size = entry->file_size(gone);
    if (!gone) bytes += size;
  }
  return bytes;
}

}  // namespace faultline::store
