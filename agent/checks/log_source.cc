#include "agent/checks/log_source.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "common/text.h"

namespace faultline {
namespace {

constexpr int kRecordsPerRead = 2000;
constexpr size_t kChunkBytes = 64 << 10;
constexpr size_t kMaxPartialBytes = 64 << 10;
constexpr uint64_t kMaxHistoryBytes = 64 << 20;

class Kmsg final : public LogSource {
 public:
  Kmsg(int fd, int64_t lookback_ns, std::string_view position, const HostView& host)
      : fd_(fd), clock_(host.clock), boot_id_(host.boot_id) {
    const std::string_view boot = NextWord(position);
    const auto sequence = ParseUint(NextWord(position));
    if (boot == boot_id_ && sequence) {
      next_ = *sequence;
    } else {
      oldest_unix_ns_ = clock_->UnixNs() - lookback_ns;
    }
  }
  ~Kmsg() override { close(fd_); }

  int fd() const override { return fd_; }
  std::string Position() const override { return fmt::format("{} {}", boot_id_, next_); }
  uint64_t TakeLost() override { return std::exchange(lost_, 0); }

  bool Read(const Line& line) override {
    char buffer[8192];
    for (int i = 0; i < kRecordsPerRead; ++i) {
      const ssize_t got = read(fd_, buffer, sizeof(buffer));
      if (got < 0 && errno == EPIPE) continue;  // overwritten: the next read goes on behind the gap
      if (got <= 0) return false;
      Take(std::string_view(buffer, static_cast<size_t>(got)), line);
    }
    return true;
  }

 private:
  // priority,sequence,microseconds,flags;text\n KEY=value…
  void Take(std::string_view record, const Line& line) {
    const size_t semicolon = record.find(';');
    if (semicolon == std::string_view::npos) return;
    const auto fields = Split(record.substr(0, semicolon), ',');
    if (fields.size() < 3) return;
    const uint64_t sequence = ParseUint(fields[1]).value_or(0);
    if (sequence < next_) return;
    if (started_ && sequence > next_) lost_ += sequence - next_;
    started_ = true;
    next_ = sequence + 1;
    timespec boot{};
    clock_gettime(CLOCK_MONOTONIC, &boot);
    const int64_t age_ns = boot.tv_sec * kNsPerSecond + boot.tv_nsec -
                           static_cast<int64_t>(ParseUint(fields[2]).value_or(0)) * 1000;
    const int64_t unix_ns = clock_->UnixNs() - age_ns;
    if (unix_ns < oldest_unix_ns_) return;
    std::string_view text = record.substr(semicolon + 1);
    text = text.substr(0, text.find('\n'));
    line(text, unix_ns);
  }

  const int fd_;
  const Clock* const clock_;
  const std::string boot_id_;
  uint64_t next_ = 0;
  uint64_t lost_ = 0;
  int64_t oldest_unix_ns_ = INT64_MIN;
  bool started_ = false;
};

class LogFile final : public LogSource {
 public:
  LogFile(std::string path, std::string_view position, const Clock* clock, bool history)
      : path_(std::move(path)), clock_(clock), history_(history) {
    const auto inode = ParseUint(NextWord(position));
    const auto offset = ParseUint(NextWord(position));
    if (inode && offset) {
      wanted_inode_ = *inode;
      wanted_offset_ = *offset;
    }
    Open(true);
  }
  ~LogFile() override {
    if (fd_ >= 0) close(fd_);
  }
  std::string Position() const override {
    return fmt::format("{} {}", inode_, offset_ - partial_.size());
  }

  bool Read(const Line& line) override {
    if (fd_ < 0 && !Open(false)) return false;
    std::string chunk(kChunkBytes, '\0');
    const ssize_t got = pread(fd_, chunk.data(), chunk.size(), static_cast<off_t>(offset_));
    if (got <= 0) {
      FollowRotation();
      return false;
    }
    offset_ += static_cast<uint64_t>(got);
    partial_.append(chunk, 0, static_cast<size_t>(got));
    size_t begin = 0;
    for (size_t end = partial_.find('\n'); end != std::string::npos;
         end = partial_.find('\n', begin)) {
      line(std::string_view(partial_).substr(begin, end - begin), clock_->UnixNs());
      begin = end + 1;
    }
    partial_.erase(0, begin);
    if (partial_.size() > kMaxPartialBytes) partial_.clear();
    return got == static_cast<ssize_t>(kChunkBytes);
  }

 private:
  bool Open(bool first) {
    fd_ = open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat status{};
    if (fd_ < 0 || fstat(fd_, &status) != 0 || !S_ISREG(status.st_mode)) {
      if (fd_ >= 0) close(fd_);
      fd_ = -1;
      return false;
    }
    inode_ = status.st_ino;
    // What appears later is read from its beginning.
    const auto size = static_cast<uint64_t>(status.st_size);
    offset_ = !first ? 0 : !history_ ? size : size - std::min(size, kMaxHistoryBytes);
    if (inode_ == wanted_inode_ && wanted_offset_ <= static_cast<uint64_t>(status.st_size))
      offset_ = wanted_offset_;
    partial_.clear();
    return true;
  }

  void FollowRotation() {
    struct stat now{};
    struct stat open_file{};
    if (stat(path_.c_str(), &now) == 0 && now.st_ino == inode_) {
      if (fstat(fd_, &open_file) == 0 && static_cast<uint64_t>(open_file.st_size) < offset_) {
        offset_ = 0;  // truncated
        partial_.clear();
      }
      return;
    }
    close(fd_);
    fd_ = -1;
    Open(false);
  }

  const std::string path_;
  const Clock* const clock_;
  const bool history_;
  int fd_ = -1;
  uint64_t inode_ = 0;
  uint64_t offset_ = 0;
  uint64_t wanted_inode_ = 0;
  uint64_t wanted_offset_ = 0;
  std::string partial_;
};

}  // namespace

Result<std::unique_ptr<LogSource>> OpenKmsg(const std::string& path, int64_t lookback_ns,
                                            std::string_view position, const HostView& host) {
  const int fd = open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0) return FailErrno(errno, "open {}", path);
  return std::make_unique<Kmsg>(fd, lookback_ns, position, host);
}

std::unique_ptr<LogSource> OpenLogFile(const std::string& path, std::string_view position,
                                       const HostView& host, bool history) {
  return std::make_unique<LogFile>(path, position, host.clock, history);
}

}  // namespace faultline
