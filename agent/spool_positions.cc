#include "agent/spool_positions.h"

#include <algorithm>
#include <cstring>

namespace faultline {
namespace {

std::string PositionKey(uint64_t file_id) {
  std::string key(1, 'p');
  AppendBig(key, file_id);
  return key;
}

std::string AsValue(uint64_t end, const std::optional<SpoolPositions::Place>& place) {
  std::string value(reinterpret_cast<const char*>(&end), sizeof end);
  if (!place) return value;
  value.append(reinterpret_cast<const char*>(&place->ordinal), sizeof place->ordinal);
  value.append(reinterpret_cast<const char*>(&place->sequence), sizeof place->sequence);
  return value;
}

uint64_t EndOf(const rocksdb::Slice& value) {
  uint64_t end = 0;
  if (value.size() >= sizeof end) std::memcpy(&end, value.data(), sizeof end);
  return end;
}

}  // namespace

void SpoolPositions::Stage(uint64_t file_id, uint64_t end, const std::optional<Place>& place,
                           rocksdb::WriteBatch& writes) {
  if (const auto skipped = skipped_.find(file_id); skipped != skipped_.end()) end = std::max(end, skipped->second);
  writes.Put(PositionKey(file_id), AsValue(end, place));
  used_.insert(file_id);
}

uint64_t SpoolPositions::Find(uint64_t file_id) const {
  used_.insert(file_id);
  rocksdb::PinnableSlice value;
  return db_->Get(PositionKey(file_id), &value) ? EndOf(value) : 0;
}

std::optional<SpoolPositions::Place> SpoolPositions::PlaceOf(uint64_t file_id) const {
  rocksdb::PinnableSlice value;
  Place place;
  constexpr size_t kBefore = sizeof(uint64_t);
  if (!db_->Get(PositionKey(file_id), &value)) return std::nullopt;
  if (value.size() != kBefore + sizeof place.ordinal + sizeof place.sequence) return std::nullopt;
  std::memcpy(&place.ordinal, value.data() + kBefore, sizeof place.ordinal);
  std::memcpy(&place.sequence, value.data() + kBefore + sizeof place.ordinal, sizeof place.sequence);
  return place;
}

Result<void> SpoolPositions::Skip(uint64_t file_id, uint64_t position) {
  if (position <= Find(file_id)) return {};
  const auto place = PlaceOf(file_id);
  skipped_[file_id] = position;
  rocksdb::WriteBatch writes;
  writes.Put(PositionKey(file_id), AsValue(position, place));
  return db_->Write(&writes, "skip what was given up of a log");
}

Result<void> SpoolPositions::Forget(uint64_t file_id) {
  used_.erase(file_id);
  skipped_.erase(file_id);
  rocksdb::WriteBatch writes;
  writes.Delete(PositionKey(file_id));
  return db_->Write(&writes, "forget a log");
}

Result<uint64_t> SpoolPositions::ForgetUnused() {
  uint64_t gone = 0;
  rocksdb::WriteBatch writes;
  const auto at = db_->Scan();
  for (at->Seek("p"); at->Valid() && at->key().size() == 9 && at->key()[0] == 'p'; at->Next()) {
    if (used_.contains(ReadBig<uint64_t>(at->key().ToStringView(), 1))) continue;
    writes.Delete(at->key());
    ++gone;
  }
  FAULTLINE_TRY(CheckStatus(at->status(), "read positions of logs"));
  if (gone > 0) FAULTLINE_TRY(db_->Write(&writes, "forget logs that are gone"));
  return gone;
}

}  // namespace faultline
