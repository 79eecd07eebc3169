// Reads the log files of containers and of the host as they grow, through every kind of rotation,
// and emits their records: none lost while the file is there, none twice. Finds folders
// (log_folders.h), opens only what is inside the configured roots (log_roots.h), is woken by
// inotify and rescans slowly in case that missed something, reads a slice of each file in turn
// (log_file.h), so that a noisy file cannot delay a quiet one, and stops when the pipeline is full:
// then the files are the queue. A file that was renamed or deleted is held until it is drained,
// within limits that are counted. Owned by the agent, used on its thread.
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
#include "common/folder_watch.h"
#include "faultline/v1/config.pb.h"

namespace faultline {

struct LogTailerLimits {
  size_t slice_bytes = 128 << 10;    // of one file, before it is the next one's turn
  size_t pass_bytes = 4 << 20;       // of all files in one pass
  int64_t rest_ns = 100 * kNsPerMs;  // between passes while files grow
  int64_t rescan_ns = 10 * kNsPerSecond;
  int64_t linger_ns = 5 * kNsPerSecond;     // a file without a name may still be written to
  uint64_t held_bytes = uint64_t{1} << 30;  // unread in files that are deleted
  int64_t held_ns = 3600 * kNsPerSecond;
  size_t files = 20'000;
};

class LogTailer final : public Collector {
 public:
  // `committed` says how far a file was handed over for good, before this start; it outlives the
  // tailer.
  LogTailer(const HostView& host, const v1::LogsConfig& config, CommittedPosition committed,
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
    std::map<std::string, uint64_t> lost_bytes;  // by reason
  };
  // A generation that was cut off its file: a copy of it may turn up (copytruncate).
  struct Ended {
    LogGeneration generation;
    uint64_t fingerprint = 0;
    uint64_t unread = 0;
    int64_t since_ns = 0;
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
    std::vector<Ended> ended;
  };
  struct Folder {
    LogFolder what;
    std::map<std::string, FileKey> names;
    std::map<FileKey, int64_t>
        ignored;  // rotated before our time, with their time of change: inodes are used again
    bool scanned = false;
  };
  struct Candidate;

  void TakeChanges();
  void Walk();
  void ScanFolder(Folder& folder);
  struct Seen;
  std::optional<Seen> Look(const std::string& path);
  void Track(Folder& folder, Candidate& candidate);
  bool AdoptCopy(Tracked& copy, const Folder& folder);
  bool Readable(Tracked& tracked);
  void ContinueCopies(const FileKey& original, Tracked& truncated);
  void Refuse(const std::string& path, const Error& error);
  void Enqueue(const FileKey& key, Tracked& tracked);
  void EnqueuePolled();
  bool ReadQueued(Emitter& out);
  void TakeSlice(const FileKey& key, Tracked& tracked, LogSlice&& slice);
  void Queue(LogSlice& slice);
  void Account(Tracked& tracked, const LogSlice& slice);
  bool EmitPending(Emitter& out);
  bool Blocked(Tracked& tracked);
  void Reap(Emitter& out);
  bool GiveUp(Tracked& tracked, uint64_t held_bytes);
  void Forget(Tracked& tracked);
  void SettleTruncations(Tracked& tracked);
  void EmitMetrics(Emitter& out);
  std::optional<uint64_t> Position(uint64_t file_id) const;
  int64_t Now() const { return host_.clock->SteadyNs(); }

  const HostView& host_;
  const v1::LogsConfig config_;
  const CommittedPosition committed_;
  const std::vector<LogObserver*> observers_;
  const LogTailerLimits limits_;
  LogRoots roots_;
  FolderWatch watch_;
  std::map<FolderKey, Folder> folders_;
  std::map<FileKey, Tracked> files_;
  std::deque<FileKey> queue_;
  std::deque<LogChunk>
      pending_;  // read, not yet taken by the pipeline; at most one slice and one last line
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
  bool walk_wanted_ = true;
  bool active_ = false;  // something was read, or waits to be
  int64_t next_walk_ns_ = 0;
  int64_t next_poll_ns_ = 0;
};

}  // namespace faultline
