// RocksDB as the store uses it: one database, a few column families (FORMAT.md), one way to write
// and one error table. Thread-safe.
#pragma once

#include <rocksdb/db.h>
#include <rocksdb/write_batch.h>

#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "common/result.h"

namespace faultline::store {

enum class Family { kMeta, kJournal, kHeads, kChunks, kLogs, kRecords };
constexpr size_t kFamilies = 6;

class Engine {
 public:
  static Result<std::unique_ptr<Engine>> Open(const std::string& folder);
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  rocksdb::ColumnFamilyHandle* operator[](Family family) const {
    return families_[static_cast<size_t>(family)];
  }
  // All or nothing; durable when `sync`. kResourceExhausted when the disk is (nearly) full; later
  // calls try again.
  Result<void> Write(rocksdb::WriteBatch& batch, bool sync);
  Result<std::string> Get(Family family, std::string_view key) const;
  // Keys in [begin, end). The bounds must outlive the iterator.
  class Range {
   public:
    Range(const Engine& engine, Family family, std::string begin, std::string end);
    Range(const Range&) = delete;  // RocksDB keeps pointers to the bounds
    Range& operator=(const Range&) = delete;
    rocksdb::Iterator* operator->() const { return iterator_.get(); }
    std::string_view key() const { return {iterator_->key().data(), iterator_->key().size()}; }
    std::string_view value() const {
      return {iterator_->value().data(), iterator_->value().size()};
    }
    bool Valid() const { return iterator_->Valid(); }
    Result<void> status() const;

   private:
    std::string begin_;
    std::string end_;
    rocksdb::Slice lower_;
    rocksdb::Slice upper_;
    std::unique_ptr<rocksdb::Iterator> iterator_;
  };
  // All keys that start with `prefix`, positioned at the first.
  Range Prefix(Family family, std::string prefix) const;
  // Calls `visit` for all keys that start with `prefix`, in order. Blocks that are damaged are
  // reported, counted and passed over; other errors end it.
  using Visit = std::function<void(std::string_view key, std::string_view value)>;
  Result<void> Scan(Family family, const std::string& prefix, const Visit& visit) const;
  uint64_t damages() const { return damages_; }
  void CountDamage() const { ++damages_; }
  // Files that lie in the range as a whole.
  Result<void> DropFiles(Family family, const std::string& begin, const std::string& end);
  // Writes what is in memory to files, so that the write-ahead log is empty; waits.
  Result<void> Flush();
  // Flushes and tidies up the files in the background, for times when nothing else is to do.
  void SettleLater();
  // Whole files first, then a tombstone for the rest.
  Result<void> DropRange(Family family, const std::string& begin, const std::string& end);
  Result<void> Checkpoint(const std::string& folder);
  // One line per damaged file.
  Result<std::vector<std::string>> Verify() const;
  uint64_t BytesOnDisk() const;

 private:
  Engine(std::string folder, rocksdb::DB* db, std::vector<rocksdb::ColumnFamilyHandle*> families);
  Result<void> CheckSpace(uint64_t bytes) const;

  const std::string folder_;
  std::unique_ptr<rocksdb::DB> db_;
  std::vector<rocksdb::ColumnFamilyHandle*> families_;
  mutable std::atomic<uint64_t> damages_ = 0;
  std::mutex settle_mutex_;
  std::condition_variable_any settle_wake_;
  bool settle_wanted_ = false;
  std::jthread settler_;
  void Settle(const std::stop_token& stop);
  std::atomic<bool> failed_ = false;  // the last write failed; RocksDB may want Resume
};

// `key` as one large number, plus `step`.
std::string KeyPlus(std::string key, uint64_t step);
// The key after all keys that start with `prefix`.
std::string PrefixEnd(std::string prefix);
inline rocksdb::Slice ToSlice(std::string_view text) { return {text.data(), text.size()}; }
Error ToError(const rocksdb::Status& status, std::string_view what);

}  // namespace faultline::store
