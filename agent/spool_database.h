// The database under the spool: one of a few megabytes that mostly holds nothing. Moved aside when it cannot be read,
// and not written to while the disk is nearly full. Keys and values: SPOOL_FORMAT.md.
#pragma once

#include <rocksdb/db.h>
#include <rocksdb/env.h>
#include <rocksdb/write_batch.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "common/result.h"

namespace faultline {

class SpoolDatabase {
 public:
  static constexpr uint64_t kPutReserveBytes = uint64_t{16} << 20;  // of the disk: memtables, logs and what others write
  static constexpr uint64_t kRemoveReserveBytes = uint64_t{1} << 20;

  // Empty `folder`: in memory.
  static Result<std::unique_ptr<SpoolDatabase>> Open(const std::string& folder);

  Result<void> CheckSpace(uint64_t reserve_bytes) const;
  Result<void> Write(rocksdb::WriteBatch* writes, std::string_view what);
  // False: it is not there.
  bool Get(const std::string& key, rocksdb::PinnableSlice* value) const;
  std::unique_ptr<rocksdb::Iterator> Scan() const;

 private:
  std::string folder_;
  std::unique_ptr<rocksdb::Env> memory_;
  std::unique_ptr<rocksdb::DB> db_;
};

Result<void> CheckStatus(const rocksdb::Status& status, std::string_view what);

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

}  // namespace faultline
