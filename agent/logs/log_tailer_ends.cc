// The part of the tailer that ends: when a file is over, what is given up, and what of it all was lost.
#include <algorithm>
#include <utility>

#include "agent/logs/log_tailer.h"
#include "faultline/v1/config.pb.h"

namespace faultline {
namespace {

constexpr int64_t kCopyWaitNs = 10 * kNsPerSecond;

int64_t ToNs(const google::protobuf::Duration& duration) {
  return duration.seconds() * kNsPerSecond + duration.nanos();
}

}  // namespace

// Files that nobody names any more, compressed ones that were read, truncations that no copy was
// found for.
void LogTailer::Reap(Emitter& out) {
  std::vector<FileKey> over;
  for (auto& [key, tracked] : files_) {
    SettleTruncations(tracked, limits_.ended);
    const bool quiet = tracked.drained && !tracked.queued;
    const bool is_over = tracked.names == 0 ? Now() - tracked.grown_ns >= limits_.linger_ns
                                            : tracked.file->compressed();
    if (quiet && is_over) over.push_back(key);
  }
  const size_t drained = over.size();
  GiveUp(over);
  for (size_t i = 0; i < over.size(); ++i) {
    Tracked& tracked = files_.at(over[i]);
    if (i < drained && !tracked.copy_of) {
      if (auto last = tracked.file->Finish(scratch_); last) {
        Account(tracked, *last);
        Queue(over[i], *last);
      }
      if (const uint64_t damaged = tracked.file->damaged_bytes(); damaged > 0)
        tracked.subject->lost_bytes["damaged"] += damaged;
    }
    Forget(over[i], tracked);
    files_.erase(over[i]);
    if (EmitPending(out) != Room::kAll) return;
  }
}

// Of the files that have lost their names the oldest go when all of them hold too much, or hold it
// for too long. What was not read of them is counted.
void LogTailer::GiveUp(std::vector<FileKey>& over) {
  std::vector<std::pair<int64_t, FileKey>> held;
  uint64_t unread = 0;
  for (auto& [key, tracked] : files_) {
    if (tracked.names > 0) continue;
    tracked.file->Changed();
    tracked.file->Identify();  // it may never have been its turn
    if (tracked.drained && tracked.file->unread_bytes() == 0) continue;
    held.emplace_back(tracked.grown_ns, key);
    unread += tracked.file->unlinked() ? tracked.file->unread_bytes() : 0;
  }
  if (held.empty()) return;
  std::ranges::sort(held);
  const int64_t oldest_ns = Now() - ToNs(config_.held_max_age());
  for (const auto& [since_ns, key] : held) {
    const bool too_much = unread > config_.held_max_bytes();
    if (!too_much && since_ns >= oldest_ns) return;
    Tracked& tracked = files_.at(key);
    if (std::ranges::find(over, key) != over.end()) continue;
    unread -= tracked.file->unlinked() ? std::min(unread, tracked.file->unread_bytes()) : 0;
    const uint64_t end = tracked.file->size(), read = ReadOf(tracked.file->file_id());
    const uint64_t lost = std::min(tracked.file->unread_bytes(), end > read ? end - read : 0);
    if (lost > 0) tracked.subject->lost_bytes[too_much ? "held_max_bytes" : "held_max_age"] += lost;
    // If a compressed copy turns up, now or after a restart, it must not undo what was counted.
    tracked.file->SkipToEnd();
    for (const auto& [file_id, position] : tracked.file->Positions()) {
      if (positions_.skip) positions_.skip(file_id, position);
    }
    over.push_back(key);
  }
}

// What would be lost with this agent is known to the next one: at once of files that have lost their
// names, each second of those that wait to be read, for rotation goes on while no agent is there.
void LogTailer::NoteUnread(bool gone_only) {
  if (gone_only) lost_names_ = false;
  if (!positions_.note_unread) return;
  std::vector<UnreadLog> unread;
  for (auto& [key, tracked] : files_) {
    LogFile& file = *tracked.file;
    const bool waits = tracked.queued || std::ranges::find(pending_, key, &Pending::key) != pending_.end();
    if (tracked.names > 0 && (gone_only || !waits)) continue;
    file.Changed();
    if (!file.Identify() || file.size() <= tracked.noted_size) continue;
    // What was read is not taken before it is on disk.
    if (file.size() <= Position(file.file_id()).value_or(0)) continue;
    tracked.noted_size = file.size();
    const Subject& subject = *tracked.subject;
    unread.push_back({file.file_id(), file.size(), subject.name_space, subject.pod, subject.container});
  }
  if (!unread.empty()) positions_.note_unread(unread);
}

// Of what the agent before this one had seen and not taken, that which is nowhere to be found.
void LogTailer::CountGone() {
  std::vector<UnreadLog> known;
  for (UnreadLog& one : std::exchange(left_unread_, {})) {
    uint64_t there = Position(one.file_id).value_or(0);
    bool is_read = false;
    for (const auto& [key, tracked] : files_) {
      if (!tracked.file->Owns(one.file_id)) continue;
      is_read = true;
      there = std::max(there, tracked.file->size());
    }
    if (there < one.size) {
      LogFileRole role;
      role.name_space = one.name_space;
      role.pod = one.pod;
      role.container = one.container;
      SubjectOf(role)->lost_bytes["agent_away"] += one.size - there;
    }
    one.size = is_read ? std::min(one.size, there) : 0;
    known.push_back(std::move(one));
  }
  if (positions_.note_unread) positions_.note_unread(known);
}

// How far it was read or given up, from whichever of its copies.
uint64_t LogTailer::ReadOf(uint64_t file_id) const {
  if (file_id == 0) return 0;
  uint64_t read = Position(file_id).value_or(0);
  for (const auto& [key, tracked] : files_) {
    if (tracked.file->file_id() == file_id) read = std::max(read, tracked.file->position());
  }
  return read;
}

void LogTailer::Forget(const FileKey& key, Tracked& tracked) {
  for (const auto& [file_id, position] : tracked.file->Positions()) {
    if (recent_.insert_or_assign(file_id, position).second) recent_order_.push_back(file_id);
  }
  while (recent_order_.size() > limits_.gone_files) {
    const uint64_t gone = recent_order_.front();
    recent_.erase(gone);
    recent_order_.pop_front();
    const bool is_read = std::ranges::any_of(
        files_, [&](const auto& entry) { return entry.second.file->Owns(gone); });
    if (!is_read && positions_.forget) positions_.forget(gone);
  }
  const auto folder = folders_.find(tracked.folder);
  if (!tracked.file->compressed() || folder == folders_.end()) return;
  folder->second.names.erase(tracked.name);
  folder->second.ignored[key] = tracked.modified_ns;
}

// Oldest first: those that no copy turned up for in time, and those beyond `most`.
void LogTailer::SettleTruncations(Tracked& tracked, size_t most) {
  auto& ended = tracked.ended;
  size_t settled = 0;
  while (settled < ended.size() &&
         (Now() - ended[settled].since_ns >= kCopyWaitNs || ended.size() - settled > most)) {
    const Ended& one = ended[settled++];
    if (one.unread == 0) continue;
    const uint64_t read = ReadOf(one.generation.file_id);
    const uint64_t lost = std::min(one.unread, one.size > read ? one.size - read : 0);
    if (lost == 0) continue;
    Subject& subject = *tracked.subject;
    subject.lost_bytes["truncated"] += lost;
    if (positions_.note_unread) {
      positions_.note_unread({{one.generation.file_id, one.size - lost, subject.name_space, subject.pod,
                               subject.container}});
    }
  }
  ended.erase(ended.begin(), ended.begin() + static_cast<ptrdiff_t>(settled));
}

}  // namespace faultline
