// Which batches are in the spool: two lanes of sessions, each session a run of sequence numbers, and what they add up to.
// The backlog is the lane of lines that were saved from files that are going: there may be much of it, and nothing else
// shall stand behind it. Heads are read, batches are not. Owned by the spool, used on its thread.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "agent/pipeline.h"
#include "agent/spool_database.h"
#include "common/result.h"

namespace faultline {

// `h` of SPOOL_FORMAT.md.
struct SpoolHead {
  uint32_t records, bytes_and_kind, series_before, series_after, streams_before, streams_after;

  // Carries log lines, whose positions have moved on, or forwarded OTLP.
  static constexpr uint32_t kLogs = uint32_t{1} << 31;
  uint32_t bytes() const { return bytes_and_kind & ~kLogs; }
  bool has_logs() const { return (bytes_and_kind & kLogs) != 0; }
};
static_assert(sizeof(SpoolHead) == 24);

// Of a batch, or of a definition of a session.
template <typename T>
std::string SpoolKey(char kind, uint32_t ordinal, T number) {
  std::string key(1, kind);
  AppendBig(key, ordinal);
  AppendBig(key, number);
  return key;
}

class SpoolSessions {
 public:
  // Batches of a session lie between first and last, without holes except those that Discard made.
  struct Session {
    uint64_t id = 0;
    Lane lane = Lane::kPrompt;
    uint64_t first = 1;
    uint64_t last = 0;
    uint64_t batches = 0;
    uint32_t series = 0;  // definitions, while it is a current one
    uint32_t streams = 0;
  };
  struct Sums {
    uint64_t bytes = 0;
    uint64_t log_bytes = 0;
    uint64_t backlog_bytes = 0;  // of log_bytes
    uint64_t batches = 0;
    uint64_t records = 0;
    uint64_t dropped_batches = 0;
    uint64_t dropped_records = 0;
  };

  explicit SpoolSessions(SpoolDatabase* db) : db_(db) {}

  Result<void> Load();
  // New current ones, one in each lane.
  Result<void> Start();

  // By ordinal.
  uint32_t current(Lane lane) const { return lane == Lane::kPrompt ? prompt_ : backlog_; }
  const Session& at(uint32_t ordinal) const { return sessions_.at(ordinal); }
  bool Holds(uint32_t ordinal, uint64_t sequence) const;
  std::optional<uint32_t> Find(uint64_t id) const;
  // Ids of those with batches, oldest first, and of the current one.
  std::vector<uint64_t> Of(Lane lane) const;
  const Sums& sums() const { return sums_; }

  // That batch was written behind the last of the session.
  void Added(uint32_t ordinal, const SpoolHead& head);
  std::optional<SpoolHead> ReadHead(uint32_t ordinal, uint64_t sequence) const;
  // A batch of the backlog follows what was read of the same files before, and that went the prompt way.
  bool MustWait(uint32_t ordinal, uint64_t sequence) const;
  // Removes the batches up to and including `up_to`; returns how many records they had.
  Result<uint64_t> Remove(uint32_t ordinal, uint64_t up_to);
  // One batch that nobody will take any more.
  Result<void> Drop(uint32_t ordinal, uint64_t sequence);
  // Drops until `wanted` more bytes are within `max_bytes`.
  Result<void> MakeRoom(uint64_t wanted, uint64_t max_bytes);

 private:
  Result<uint32_t> Start(Lane lane);
  bool IsCurrent(uint32_t ordinal) const { return ordinal == prompt_ || ordinal == backlog_; }
  std::optional<std::pair<uint32_t, uint64_t>> Expendable();
  void Account(const Session& session, const SpoolHead& head, int sign);
  void Forget(uint32_t ordinal);
  void ForgetIfOver(uint32_t ordinal);

  SpoolDatabase* const db_;
  std::map<uint32_t, Session> sessions_;  // by ordinal
  // The current ones. A session of the backlog begins together with the prompt one whose ordinal is its own + 1.
  uint32_t prompt_ = 0;
  uint32_t backlog_ = 0;
  Sums sums_;
  // All that is left before it carries logs.
  std::pair<uint32_t, uint64_t> room_cursor_;
  // Batches of the current session of the backlog, and the prompt batch that must be acknowledged before each.
  std::deque<std::pair<uint64_t, uint64_t>> follows_;
  std::mt19937_64 random_{std::random_device{}()};
};

}  // namespace faultline
