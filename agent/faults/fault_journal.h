// What this node has promised to undo: one small file per fault, written before anything changes
// (FORMAT.md). Used by the agent and by the guardian at the same time: whoever acts on a fault
// holds its lock. Writes are durable when they return: temporary file, fsync, rename, fsync of the
// folder.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/result.h"
#include "faultline/v1/journal.pb.h"

namespace faultline {

// True for letters, digits, . _ - that do not begin with a dot, at most 128: safe as a file's name.
bool IsFaultUid(std::string_view uid);

// The text of a journal file and back; kCorruption says what is wrong.
std::string EncodeJournalEntry(const v1::FaultJournalEntry& entry);
Result<v1::FaultJournalEntry> DecodeJournalEntry(std::string_view text);

// Held by one process (or thread) at a time; let go when destroyed, or when the process dies.
class JournalLock {
 public:
  JournalLock() = default;
  explicit JournalLock(int fd) : fd_(fd) {}
  JournalLock(JournalLock&& other) noexcept : fd_(other.fd_) { other.fd_ = -1; }
  JournalLock& operator=(JournalLock&& other) noexcept;
  JournalLock(const JournalLock&) = delete;
  ~JournalLock();

 private:
  int fd_ = -1;
};

class FaultJournal {
 public:
  struct Contents {
    std::vector<v1::FaultJournalEntry> entries;
    std::vector<std::string>
        unreadable;  // "name: reason"; the files are kept beside as name.corrupt
  };

  // Makes the folder (0700).
  static Result<FaultJournal> Open(std::string folder);

  Result<void> Save(const v1::FaultJournalEntry& entry) const;
  Result<v1::FaultJournalEntry> Load(std::string_view uid) const;
  Result<Contents> LoadAll() const;
  Result<void> Remove(std::string_view uid) const;
  // Sets files aside that no entry can be read from, and removes temporary files of writers that
  // died.
  void SetAsideUnreadable() const;

  // kTimeout when somebody else keeps it longer than that.
  Result<JournalLock> Lock(std::string_view uid, int64_t timeout_ms) const;
  // The one agent that uses this folder; kUnavailable if another one lives.
  Result<JournalLock> LockOwner() const;
  // Somebody put a file `halt` into the folder: nothing may be in force on this node.
  bool Halted() const;
  const std::string& folder() const { return folder_; }

 private:
  explicit FaultJournal(std::string folder) : folder_(std::move(folder)) {}
  std::string folder_;
};

}  // namespace faultline
