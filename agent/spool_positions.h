// How far each log file has been taken, by the side of the batches in the spool's database: `p` of SPOOL_FORMAT.md.
// Owned by the spool, used on its thread.
#pragma once

#include <cstdint>
#include <optional>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "agent/logs/unread_log.h"
#include "agent/spool_database.h"
#include "common/result.h"

namespace faultline {

class SpoolPositions {
 public:
  // A batch of the backlog.
  struct Place {
    uint32_t ordinal = 0;
    uint64_t sequence = 0;
  };

  explicit SpoolPositions(SpoolDatabase* db) : db_(db) {}

  // Taken up to `end`, with the batch that is written by `writes`; `place`: which one, if that is of the backlog.
  void Stage(uint64_t file_id, uint64_t end, const std::optional<Place>& place, rocksdb::WriteBatch& writes);
  // End of what was taken or given up; 0: nothing.
  uint64_t Find(uint64_t file_id) const;
  // The batch of the backlog that its last lines went with.
  std::optional<Place> PlaceOf(uint64_t file_id) const;
  Result<void> Skip(uint64_t file_id, uint64_t position);
  Result<void> Forget(uint64_t file_id);
  // What was seen of logs and is not taken yet: `u` of the format. Size 0: nothing any more.
  Result<void> NoteUnread(const std::vector<UnreadLog>& logs);
  std::vector<UnreadLog> Unread() const;
  bool IsNoted(uint64_t file_id) const;
  Result<uint64_t> ForgetUnused();

 private:
  SpoolDatabase* const db_;
  mutable std::unordered_set<uint64_t> used_;       // asked for or written in this run
  std::unordered_map<uint64_t, uint64_t> skipped_;  // in this run: positions never go back before
};

}  // namespace faultline
