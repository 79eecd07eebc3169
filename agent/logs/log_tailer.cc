// The part of the tailer that reads: whose turn it is, and what the pipeline takes.
#include "agent/logs/log_tailer.h"

#include <sys/resource.h>

#include <algorithm>

#include "common/log.h"
#include "faultline/v1/config.pb.h"

namespace faultline {
namespace {

constexpr size_t kShortBytes = 4096;  // a file with no more to read is a quiet one
constexpr size_t kKeptScratchBytes = 512 << 10;
constexpr int64_t kPollNs = kNsPerSecond;
constexpr int64_t kLookNs = 20 * kNsPerMs;
constexpr int64_t kKeepLossNs = 3600 * kNsPerSecond;  // what a container lost is told after its end

bool IsShort(const LogChunk& chunk) {
  size_t bytes = 0;
  for (const LogChunk::Record& record : chunk.records) bytes += record.body.size();
  return bytes <= kShortBytes;
}

// One descriptor a file: the usual soft limit of 1024 is for programs that use select.
void RaiseOpenFiles() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= limit.rlim_max) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

}  // namespace

LogTailer::LogTailer(const HostView& host, const v1::LogsConfig& config,
                     std::shared_ptr<const LogTreatments> treatments, LogPositions positions,
                     std::span<LogObserver* const> observers, LogTailerLimits limits)
    : host_(host),
      config_(config),
      positions_(std::move(positions)),
      treatments_(std::move(treatments)),
      observers_(observers.begin(), observers.end()),
      limits_(limits),
      roots_(host.fs, LogRootFolders(config)) {
  RaiseOpenFiles();
  if (positions_.unread) left_unread_ = positions_.unread();
  count_gone_ns_ = Now() + limits_.rescan_ns;
}

LogTailer::~LogTailer() = default;

std::optional<uint64_t> LogTailer::Position(uint64_t file_id) const {
  auto position = positions_.find ? positions_.find(file_id) : std::nullopt;
  if (const auto recent = recent_.find(file_id); recent != recent_.end()) {
    position = std::max(position.value_or(0), recent->second);
  }
  return position;
}

Result<void> LogTailer::Collect(Emitter& out) {
  FAULTLINE_TRY(Wake(out));
  NoteUnread(false);
  if (!left_unread_.empty() && Now() >= count_gone_ns_) CountGone();
  EmitMetrics(out);
  return {};
}

Result<void> LogTailer::Wake(Emitter& out) {
  active_ = false;
  TakeChanges();
  if (walk_wanted_ || Now() >= next_walk_ns_) Walk();
  ScanChanged();
  if (lost_names_) NoteUnread(true);
  if (Now() >= next_poll_ns_) EnqueuePolled();
  Room room = EmitPending(out);
  const bool taken = room != Room::kNone && ReadQueued(out, room) && room == Room::kAll;
  if (taken) Reap(out);
  // Nothing is taken, but what is held has its limits all the same.
  std::vector<FileKey> over;
  if (!taken) GiveUp(over);
  for (const FileKey& key : over) {
    Forget(key, files_.at(key));
    files_.erase(key);
  }
  if (scratch_.capacity() > kKeptScratchBytes) std::string().swap(scratch_);
  // More to read: at once, but let others have their turn. Growing or full: after a rest. Else:
  // when something changes.
  if (taken && !queue_.empty()) {
    watch_.Rest(0);
  } else if (active_) {
    watch_.Rest(limits_.rest_ns);
  }
  return {};
}

void LogTailer::Enqueue(const FileKey& key, Tracked& tracked) {
  if (tracked.queued || tracked.copy_of) return;
  tracked.queued = true;
  queue_.push_back(key);
}

void LogTailer::EnqueuePolled() {
  next_poll_ns_ = Now() + kPollNs;
  for (auto& [key, tracked] : files_) {
    if (!tracked.watched || tracked.names == 0 || tracked.waits) Enqueue(key, tracked);
  }
}

// An older file of the same log has something left.
bool LogTailer::Blocked(Tracked& tracked) {
  if (!tracked.after) return false;
  const auto older = files_.find(*tracked.after);
  if (older == files_.end() || older->second.drained) {
    tracked.after.reset();
    return false;
  }
  Enqueue(older->first, older->second);
  return true;
}

bool LogTailer::IsAtRisk(const FileKey& key) const {
  const auto file = files_.find(key);
  return file == files_.end() || file->second.names == 0 || file->second.saved;
}

bool LogTailer::IsInBacklog(const LogFile& file) const {
  return positions_.in_backlog && std::ranges::any_of(file.Positions(), [&](const auto& position) {
           return positions_.in_backlog(position.first);
         });
}

bool LogTailer::FitsIn(Room room, const FileKey& key, Tracked& tracked) const {
  if (room == Room::kAll || tracked.names == 0 || tracked.saved) return true;
  if (room != Room::kShort || std::ranges::find(pending_, key, &Pending::key) != pending_.end())
    return false;
  tracked.file->Changed();
  return tracked.file->unread_bytes() <= kShortBytes;
}

// False: the pipeline is full.
bool LogTailer::ReadQueued(Emitter& out, Room room) {
  size_t budget = limits_.pass_bytes;
  // Each file at most as often as it takes to use the budget up; blocked ones come round again next
  // pass.
  size_t turns = queue_.size() + (room == Room::kAll ? limits_.pass_bytes / 4096 : 0);
  for (; turns > 0 && budget > 0 && !queue_.empty(); --turns) {
    // New files are opened at once, that no rotation takes them away meanwhile.
    if (Now() - looked_ns_ > kLookNs) {
      TakeChanges();
      ScanChanged();
      if (lost_names_) NoteUnread(true);
    }
    const FileKey key = queue_.front();
    queue_.pop_front();
    const auto found = files_.find(key);
    if (found == files_.end()) continue;
    Tracked& tracked = found->second;
    if (!FitsIn(room, key, tracked)) {
      queue_.push_back(key);
      continue;
    }
    tracked.queued = false;
    if (Blocked(tracked)) {
      Enqueue(key, tracked);
      budget -= std::min<size_t>(budget, 256);
      continue;
    }
    if (!Readable(tracked)) continue;
    auto slice = tracked.file->Read(scratch_, limits_.slice_bytes);
    if (!slice) {
      if (LogAllowed("log_read")) spdlog::warn("logs: {}", slice.error().message);
      tracked.drained = true;
      continue;
    }
    budget -= std::min(budget, std::max<size_t>(slice->scanned, 64));
    TakeSlice(key, tracked, std::move(*slice));
    const Room left = EmitPending(out);
    if (left == Room::kNone) return false;
    if (room == Room::kAll && left != Room::kAll) turns = queue_.size() + 1;  // once more round
    room = left;
  }
  return room == Room::kAll;
}

void LogTailer::TakeSlice(const FileKey& key, Tracked& tracked, LogSlice&& slice) {
  Account(tracked, slice);
  if (slice.truncated) {
    tracked.ended.push_back({slice.ended, slice.ended_fingerprint,
                             slice.ended.position + slice.unread, slice.unread, Now()});
    if (tracked.ended.size() > limits_.ended) SettleTruncations(tracked, limits_.ended);
    tracked.rewritten = true;
    tracked.noted_size = 0;
    ContinueCopies(key, tracked);
    MatchCopies(key, tracked);
    changed_.insert(tracked.folder);
  }
  if (slice.bytes > 0 || slice.truncated) {
    tracked.grown_ns = Now();
    active_ = true;
  }
  tracked.drained = !slice.more && !slice.waits;
  tracked.waits = slice.waits;
  if (slice.more) Enqueue(key, tracked);
  Queue(key, slice);
}

void LogTailer::Queue(const FileKey& key, LogSlice& slice) {
  const auto file = files_.find(key);
  if (file != files_.end() && !file->second.saved) file->second.saved = IsInBacklog(*file->second.file);
  for (LogChunk& chunk : slice.chunks) {
    for (LogObserver* observer : observers_) {
      if (!chunk.records.empty()) observer->Observe(chunk);
    }
    pending_.push_back({key, std::move(chunk)});
  }
}

// A copy that is written over the copy before it is a copy still.
bool LogTailer::Readable(Tracked& tracked) {
  if (!tracked.rewritten) return true;
  tracked.file->Changed();
  if (!tracked.file->Identify()) return true;
  tracked.rewritten = false;
  const auto folder = folders_.find(tracked.folder);
  if (folder != folders_.end() && !tracked.file->is_known()) AdoptCopy(tracked, folder->second);
  return !tracked.copy_of;
}

void LogTailer::Account(Tracked& tracked, const LogSlice& slice) {
  Subject& subject = *tracked.subject;
  subject.lines += slice.lines;
  subject.bytes += slice.bytes;
  subject.malformed += slice.malformed;
  if (slice.lost_too_long > 0) subject.lost_bytes["too_long"] += slice.lost_too_long;
}

// What is left then waits in its file, or, if that has no name any more, for room on the disk. What
// comes from one file leaves in order: the position says that all before it has left.
LogTailer::Room LogTailer::EmitPending(Emitter& out) {
  Room room = Room::kAll;
  std::set<FileKey> waiting;
  for (auto at = pending_.begin(); at != pending_.end();) {
    const bool at_risk = at->chunk.at_risk = IsAtRisk(at->key);
    const Room wanted = at_risk ? Room::kAtRisk : IsShort(at->chunk) ? Room::kShort : Room::kAll;
    if (waiting.contains(at->key) || (wanted < room && !at->chunk.continues)) {
      waiting.insert(at->key);
      ++at;
    } else if (out.Logs(std::move(at->chunk))) {
      // Once among those that are saved it stays there: its lines arrive in order.
      if (const auto file = files_.find(at->key); at_risk && file != files_.end()) file->second.saved = true;
      at = pending_.erase(at);
    } else {
      active_ = true;
      waiting.insert(at->key);
      room = static_cast<Room>(static_cast<int>(wanted) + 1);
      if (room == Room::kNone) break;
      ++at;
    }
  }
  return room;
}

void LogTailer::EmitMetrics(Emitter& out) {
  static constexpr MetricFamily kLines{"faultline_log_lines_total", v1::METRIC_TYPE_COUNTER,
                                       "Log records that were read."};
  static constexpr MetricFamily kBytes{"faultline_log_bytes_total", v1::METRIC_TYPE_COUNTER,
                                       "Bytes of log files that were read."};
  static constexpr MetricFamily kMalformed{
      "faultline_log_malformed_lines_total", v1::METRIC_TYPE_COUNTER,
      "Lines that were not of their file's format and were kept as they stand."};
  static constexpr MetricFamily kLost{
      "faultline_log_lost_bytes_total", v1::METRIC_TYPE_COUNTER,
      "Bytes of log files that were there and were not taken, by reason."};
  static constexpr MetricFamily kMissed{
      "faultline_log_missed_files_total", v1::METRIC_TYPE_COUNTER,
      "Log files that were made and deleted between two looks: nobody knows what was in them."};
  static constexpr MetricFamily kFiles{"faultline_log_files", v1::METRIC_TYPE_GAUGE,
                                       "Log files that are open."};
  for (const auto& [key, subject] : subjects_) {
    std::vector<LabelView> labels;
    if (!subject->name_space.empty()) labels.push_back({"namespace", subject->name_space});
    if (!subject->pod.empty()) labels.push_back({"pod", subject->pod});
    if (!subject->container.empty()) labels.push_back({"container", subject->container});
    out.Sample(kLines, LabelViews(labels), static_cast<double>(subject->lines));
    out.Sample(kBytes, LabelViews(labels), static_cast<double>(subject->bytes));
    if (subject->malformed > 0)
      out.Sample(kMalformed, LabelViews(labels), static_cast<double>(subject->malformed));
    if (subject->missed_files > 0)
      out.Sample(kMissed, LabelViews(labels), static_cast<double>(subject->missed_files));
    for (const auto& [reason, bytes] : subject->lost_bytes) {
      labels.push_back({"reason", reason});
      out.Sample(kLost, LabelViews(labels), static_cast<double>(bytes));
      labels.pop_back();
    }
  }
  out.Sample(kFiles, {}, static_cast<double>(files_.size()));
  std::erase_if(subjects_, [&](const auto& entry) {
    Subject& subject = *entry.second;
    if (entry.second.use_count() > 1) subject.gone_ns = 0;
    if (entry.second.use_count() > 1) return false;
    if (subject.gone_ns == 0) subject.gone_ns = Now();
    const bool lost_nothing = subject.lost_bytes.empty() && subject.missed_files == 0;
    return lost_nothing || Now() - subject.gone_ns > kKeepLossNs;
  });
  if (newly_refused_ > 0) out.Dropped("refused_file", std::exchange(newly_refused_, 0));
  if (beyond_limit_ > 0) out.Dropped("too_many_files", std::exchange(beyond_limit_, 0));
}

}  // namespace faultline
