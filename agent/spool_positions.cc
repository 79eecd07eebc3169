#include "agent/spool_positions.h"

#include <algorithm>
#include <cstring>

namespace faultline {
namespace {

std::string LogKey(char kind, uint64_t file_id) {
  std::string key(1, kind);
  AppendBig(key, file_id);
  return key;
}

std::string PositionKey(uint64_t file_id) { return LogKey('p', file_id); }

std::string UnreadKey(uint64_t file_id) { return LogKey('u', file_id); }

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
  writes.Delete(UnreadKey(file_id));
  return db_->Write(&writes, "forget a log");
}

Result<void> SpoolPositions::NoteUnread(const std::vector<UnreadLog>& logs) {
  rocksdb::WriteBatch writes;
  for (const UnreadLog& log : logs) {
    if (log.size == 0) {
      writes.Delete(UnreadKey(log.file_id));
      continue;
    }
    std::string value(reinterpret_cast<const char*>(&log.size), sizeof log.size);
    for (const std::string* name : {&log.name_space, &log.pod, &log.container}) value.append(*name).push_back('\0');
    writes.Put(UnreadKey(log.file_id), value);
  }
  return db_->Write(&writes, "note what is unread of logs");
}

std::vector<UnreadLog> SpoolPositions::Unread() const {
  std::vector<UnreadLog> logs;
  const auto at = db_->Scan();
  for (at->Seek("u"); at->Valid() && at->key().size() == 9 && at->key()[0] == 'u'; at->Next()) {
    UnreadLog& log = logs.emplace_back();
    log.file_id = ReadBig<uint64_t>(at->key().ToStringView(), 1);
    log.size = EndOf(at->value());
    std::string_view rest = at->value().ToStringView();
    rest.remove_prefix(std::min(rest.size(), sizeof log.size));
    for (std::string* name : {&log.name_space, &log.pod, &log.container}) {
      const std::string_view text = rest.substr(0, rest.find('\0'));
      *name = text;
      rest.remove_prefix(std::min(rest.size(), text.size() + 1));
    }
  }
  return logs;
}

bool SpoolPositions::IsNoted(uint64_t file_id) const {
  rocksdb::PinnableSlice value;
  return db_->Get(UnreadKey(file_id), &value);
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
