// The half of the tailer that reads: whose turn it is, what the pipeline takes, when a file is
// over, and what was lost.
#include "agent/logs/log_tailer.h"

#include <sys/resource.h>

#include <algorithm>

#include "common/log.h"
#include "faultline/v1/config.pb.h"

namespace faultline {
namespace {

constexpr size_t kMaxRecent = 20'000;
constexpr size_t kMaxEnded = 8;
constexpr size_t kKeptScratchBytes = 512 << 10;
constexpr int64_t kPollNs = kNsPerSecond;
constexpr int64_t kCopyWaitNs = 10 * kNsPerSecond;

// One descriptor a file: the usual soft limit of 1024 is for programs that use select.
void RaiseOpenFiles() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= limit.rlim_max) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

}  // namespace

LogTailer::LogTailer(const HostView& host, const v1::LogsConfig& config,
                     CommittedPosition committed, std::span<LogObserver* const> observers,
                     LogTailerLimits limits)
    : host_(host),
      config_(config),
      committed_(std::move(committed)),
      observers_(observers.begin(), observers.end()),
      limits_(limits),
      roots_(host.fs, LogRootFolders(config)) {
  RaiseOpenFiles();
}

LogTailer::~LogTailer() = default;

std::optional<uint64_t> LogTailer::Position(uint64_t file_id) const {
  auto position = committed_ ? committed_(file_id) : std::nullopt;
  if (const auto recent = recent_.find(file_id); recent != recent_.end()) {
    position = std::max(position.value_or(0), recent->second);
  }
  return position;
}

Result<void> LogTailer::Collect(Emitter& out) {
  FAULTLINE_TRY(Wake(out));
  EmitMetrics(out);
  return {};
}

Result<void> LogTailer::Wake(Emitter& out) {
  active_ = false;
  TakeChanges();
  if (walk_wanted_ || Now() >= next_walk_ns_) Walk();
  for (const FolderKey& key : std::exchange(changed_, {})) {
    if (const auto folder = folders_.find(key); folder != folders_.end())
      ScanFolder(folder->second);
  }
  if (Now() >= next_poll_ns_) EnqueuePolled();
  const bool taken = EmitPending(out) && ReadQueued(out);
  if (taken) Reap(out);
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
    if (!tracked.watched || tracked.names == 0) Enqueue(key, tracked);
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

// False: the pipeline is full.
bool LogTailer::ReadQueued(Emitter& out) {
  size_t budget = limits_.pass_bytes;
  // Each file at most as often as it takes to use the budget up; blocked ones come round again next
  // pass.
  for (size_t turns = queue_.size() + limits_.pass_bytes / 4096;
       turns > 0 && budget > 0 && !queue_.empty(); --turns) {
    const FileKey key = queue_.front();
    queue_.pop_front();
    const auto found = files_.find(key);
    if (found == files_.end()) continue;
    Tracked& tracked = found->second;
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
    if (!EmitPending(out)) return false;
  }
  return true;
}

void LogTailer::TakeSlice(const FileKey& key, Tracked& tracked, LogSlice&& slice) {
  Account(tracked, slice);
  if (slice.truncated) {
    tracked.ended.push_back({slice.ended, slice.ended_fingerprint, slice.unread, Now()});
    if (tracked.ended.size() > kMaxEnded) tracked.ended.erase(tracked.ended.begin());
    tracked.rewritten = true;
    ContinueCopies(key, tracked);
    changed_.insert(tracked.folder);
  }
  if (slice.bytes > 0 || slice.truncated) {
    tracked.grown_ns = Now();
    active_ = true;
  }
  tracked.drained = !slice.more;
  if (slice.more) Enqueue(key, tracked);
  Queue(slice);
}

void LogTailer::Queue(LogSlice& slice) {
  for (LogChunk& chunk : slice.chunks) {
    for (LogObserver* observer : observers_) {
      if (!chunk.records.empty()) observer->Observe(chunk);
    }
    pending_.push_back(std::move(chunk));
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

bool LogTailer::EmitPending(Emitter& out) {
  while (!pending_.empty()) {
    if (!out.Logs(std::move(pending_.front()))) {
      active_ = true;
      return false;
    }
    pending_.pop_front();
  }
  return true;
}

// Files that nobody names any more, truncations that no copy was found for.
void LogTailer::Reap(Emitter& out) {
  uint64_t held_bytes = 0;
  std::vector<FileKey> over;
  for (auto& [key, tracked] : files_) {
    SettleTruncations(tracked);
    if (tracked.names > 0) continue;
    const uint64_t unread = tracked.file->unread_bytes();
    held_bytes += tracked.file->unlinked() ? unread : 0;
    const bool quiet =
        tracked.drained && !tracked.queued && Now() - tracked.grown_ns >= limits_.linger_ns;
    if (quiet || GiveUp(tracked, held_bytes)) over.push_back(key);
  }
  for (const FileKey& key : over) {
    Tracked& tracked = files_.at(key);
    if (tracked.drained && !tracked.copy_of) {
      if (auto last = tracked.file->Finish(scratch_); last) {
        Account(tracked, *last);
        Queue(*last);
      }
    }
    Forget(tracked);
    files_.erase(key);
    if (!EmitPending(out)) return;
  }
}

bool LogTailer::GiveUp(Tracked& tracked, uint64_t held_bytes) {
  const bool too_much = tracked.file->unlinked() && held_bytes > limits_.held_bytes;
  const bool too_long = Now() - tracked.grown_ns > limits_.held_ns;
  if (!too_much && !too_long) return false;
  const uint64_t unread = tracked.file->unread_bytes();
  if (unread > 0)
    tracked.subject->lost_bytes[too_much ? "held_too_large" : "held_too_long"] += unread;
  return true;
}

void LogTailer::Forget(Tracked& tracked) {
  for (const auto& [file_id, position] : tracked.file->Positions()) {
    if (recent_.insert_or_assign(file_id, position).second) recent_order_.push_back(file_id);
  }
  while (recent_order_.size() > kMaxRecent) {
    recent_.erase(recent_order_.front());
    recent_order_.pop_front();
  }
}

void LogTailer::SettleTruncations(Tracked& tracked) {
  std::erase_if(tracked.ended, [&](const Ended& ended) {
    if (Now() - ended.since_ns < kCopyWaitNs) return false;
    if (ended.unread > 0) tracked.subject->lost_bytes["truncated"] += ended.unread;
    return true;
  });
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
    for (const auto& [reason, bytes] : subject->lost_bytes) {
      labels.push_back({"reason", reason});
      out.Sample(kLost, LabelViews(labels), static_cast<double>(bytes));
      labels.pop_back();
    }
  }
  out.Sample(kFiles, {}, static_cast<double>(files_.size()));
  std::erase_if(subjects_, [](const auto& entry) { return entry.second.use_count() == 1; });
  if (newly_refused_ > 0) out.Dropped("refused_file", std::exchange(newly_refused_, 0));
  if (beyond_limit_ > 0) out.Dropped("too_many_files", std::exchange(beyond_limit_, 0));
}

}  // namespace faultline
