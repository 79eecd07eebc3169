// Reads the log files of containers and of the host as they grow, through every kind of rotation,
// and emits their records: none lost while the file is there, none twice. Finds folders
// (log_folders.h), opens only what is inside the configured roots (log_roots.h), is woken by
// inotify and rescans slowly in case that missed something, reads a slice of each file in turn
// (log_file.h), so that a noisy file cannot delay a quiet one, and stops when the pipeline is full:
// then the files are the queue; only quiet ones, of which there is little to read, are read on for
// a while, and those that are gone by name, into the spool. A file that was renamed or deleted is
// held until it is drained, within logs.held_max_bytes and held_max_age; what is given up is
// counted to the byte. Owned by the agent, used on its thread.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "agent/collectors/collector.h"
#include "agent/logs/log_file.h"
#include "agent/logs/log_folders.h"
#include "agent/logs/log_observer.h"
#include "agent/logs/log_treatment.h"
#include "common/folder_watch.h"
#include "faultline/v1/config.pb.h"

namespace faultline {

struct LogTailerLimits {
  size_t slice_bytes = 128 << 10;    // of one file, before it is the next one's turn
  size_t pass_bytes = 4 << 20;       // of all files in one pass
  int64_t rest_ns = 100 * kNsPerMs;  // between passes while files grow
  int64_t rescan_ns = 10 * kNsPerSecond;
  int64_t linger_ns = 5 * kNsPerSecond;  // a file without a name may still be written to
  size_t files = 20'000;
  size_t ended = 64;  // truncations of a file whose copies are waited for
  size_t gone_files = 20'000;  // ids whose positions are kept: a compressed copy may turn up
};

class LogTailer final : public Collector {
 public:
  // What `positions` refer to outlives the tailer.
  LogTailer(const HostView& host, const v1::LogsConfig& config,
            std::shared_ptr<const LogTreatments> treatments, LogPositions positions,
            std::span<LogObserver* const> observers = {}, LogTailerLimits limits = {});
  ~LogTailer() override;

  Result<void> Collect(Emitter& out) override;
  Result<void> Wake(Emitter& out) override;
  std::optional<int> wake_fd() const override { return watch_.fd(); }

 private:
  // Whose lines they are, and what was counted of them; shared by all files of a container.
  struct Subject {
    std::string name_space, pod, container;
    uint64_t lines = 0;
    uint64_t bytes = 0;
    uint64_t malformed = 0;
    uint64_t missed_files = 0;                   // made and gone between two looks
    std::map<std::string, uint64_t> lost_bytes;  // by reason
    int64_t gone_ns = 0;                         // since when it has no file
  };
  // A generation that was cut off its file: a copy of it may turn up (copytruncate).
  struct Ended {
    LogGeneration generation;
    uint64_t fingerprint = 0;
    uint64_t size = 0;    // as last seen
    uint64_t unread = 0;  // of that, and not found in a copy
    int64_t since_ns = 0;
    void FoundIn(const LogFile& copy);
  };
  using FolderKey = std::pair<std::string, LogFolderKind>;
  struct Tracked {
    std::unique_ptr<LogFile> file;
    std::shared_ptr<Subject> subject;
    std::string name;  // in its folder, as first seen
    FolderKey folder;
    int names = 0;  // that lead to it; 0: renamed away or deleted
    bool queued = false;
    bool drained = false;            // nothing to take at the last look
    bool watched = false;            // inotify tells when it grows
    int64_t grown_ns = 0;            // last growth, or when it lost its last name
    std::optional<FileKey> after;    // read only when that one is drained: same log, older
    std::optional<FileKey> copy_of;  // not read unless that one is truncated
    bool rewritten = false;          // truncated itself: may be a copy now
    bool waits = false;              // to be looked at again, grown or not
    uint64_t noted_size = 0;         // up to which it was noted as unread
    bool saved = false;              // its lines go the way of those of files that are going
    int64_t modified_ns = 0;         // when it was found
    std::vector<Ended> ended;
  };
  struct Folder {
    LogFolder what;
    std::map<std::string, FileKey> names;
    std::map<FileKey, int64_t>
        ignored;  // rotated before our time, with their time of change: inodes are used again
    bool scanned = false;
    // Files that were made here and not seen yet, by name, and those seen of which nobody has told.
    std::map<std::string, uint64_t> made;
    uint64_t untold = 0;
  };
  struct Candidate;
  void CountMissed(Folder& folder, const std::vector<std::string>& listed,
                   const std::vector<Candidate>& found);
  // Read, and not yet taken by the pipeline.
  struct Pending {
    FileKey key;
    LogChunk chunk;
  };
  // What the pipeline still takes: all, short chunks and files at risk, files at risk, nothing.
  enum class Room { kAll, kShort, kAtRisk, kNone };

  void TakeChanges();
  void Walk();
  void ScanChanged();
  void LoseName(Tracked& tracked);
  void ScanFolder(Folder& folder);
  struct Seen;
  std::optional<Seen> Look(const std::string& path);
  void Track(Folder& folder, Candidate& candidate);
  std::shared_ptr<Subject> SubjectOf(const LogFileRole& role);
  bool AdoptCopy(Tracked& copy, const Folder& folder);
  bool Readable(Tracked& tracked);
  void ContinueCopies(const FileKey& original, Tracked& truncated);
  void Refuse(const std::string& path, const Error& error);
  void Enqueue(const FileKey& key, Tracked& tracked);
  void EnqueuePolled();
  bool ReadQueued(Emitter& out, Room room);
  bool IsAtRisk(const FileKey& key) const;
  bool IsInBacklog(const LogFile& file) const;
  bool FitsIn(Room room, const FileKey& key, Tracked& tracked) const;
  void TakeSlice(const FileKey& key, Tracked& tracked, LogSlice&& slice);
  void Queue(const FileKey& key, LogSlice& slice);
  void Account(Tracked& tracked, const LogSlice& slice);
  Room EmitPending(Emitter& out);
  bool Blocked(Tracked& tracked);
  void Reap(Emitter& out);
  void GiveUp(std::vector<FileKey>& over);
  void NoteUnread(bool gone_only);
  void CountGone();
  uint64_t ReadOf(uint64_t file_id) const;
  void Forget(const FileKey& key, Tracked& tracked);
  bool IsReadElsewhere(const Tracked& compressed) const;
  void MatchCopies(const FileKey& key, Tracked& tracked);
  void SettleTruncations(Tracked& tracked, size_t most);
  void EmitMetrics(Emitter& out);
  std::optional<uint64_t> Position(uint64_t file_id) const;
  int64_t Now() const { return host_.clock->SteadyNs(); }

  const HostView& host_;
  const v1::LogsConfig config_;
  const LogPositions positions_;
  const std::shared_ptr<const LogTreatments> treatments_;
  const std::vector<LogObserver*> observers_;
  const LogTailerLimits limits_;
  LogRoots roots_;
  FolderWatch watch_;
  std::map<FolderKey, Folder> folders_;
  std::map<FileKey, Tracked> files_;
  std::deque<FileKey> queue_;
  std::deque<Pending>
      pending_;  // at most one slice and one last line, and as much of files at risk
  std::map<std::string, std::shared_ptr<Subject>> subjects_;
  std::set<std::string> refused_;
  std::set<FolderKey> changed_;
  std::set<std::string> parents_;
  // Where files stood that are no longer tracked: the accessor learns it only when the batch is on
  // disk.
  std::unordered_map<uint64_t, uint64_t> recent_;
  std::deque<uint64_t> recent_order_;
  std::string scratch_;
  uint64_t newly_refused_ = 0;
  uint64_t beyond_limit_ = 0;
  std::vector<UnreadLog> left_unread_;  // by the agent before this one, until it is known what is there still
  int64_t count_gone_ns_ = 0;
  bool lost_names_ = false;
  bool walk_wanted_ = true;
  bool active_ = false;  // something was read, or waits to be
  int64_t next_walk_ns_ = 0;
  int64_t next_poll_ns_ = 0;
  int64_t looked_ns_ = 0;  // when changes were last taken
};

}  // namespace faultline
