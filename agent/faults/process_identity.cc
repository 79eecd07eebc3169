#include "agent/faults/process_identity.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "common/process_stat.h"
#include "common/text.h"

namespace faultline {
namespace {

constexpr uint64_t kPfKthread = 0x00200000;

class PidFd {
 public:
  explicit PidFd(uint32_t pid) : fd_(static_cast<int>(syscall(SYS_pidfd_open, pid, 0))) {}
  PidFd(const PidFd&) = delete;
  PidFd& operator=(const PidFd&) = delete;
  ~PidFd() {
    if (fd_ >= 0) close(fd_);
  }
  int fd() const { return fd_; }

 private:
  const int fd_;
};

}  // namespace

Result<LiveProcess> ReadLiveProcess(const HostView& host, uint32_t pid) {
  const auto text = host.fs.Read(fmt::format("/proc/{}/stat", pid));
  // ESRCH: it ended between open and read.
  if (!text) return Fail(ErrorCode::kNotFound, "process {}: {}", pid, text.error().message);
  const auto line = ParseProcessStat(*text);
  if (!line) return Fail(ErrorCode::kCorruption, "/proc/{}/stat cannot be parsed", pid);
  LiveProcess stat;
  stat.pid = pid;
  stat.parent = static_cast<uint32_t>(line->parent);
  stat.state = line->state;
  // A process names itself with any bytes; what we write down and send must be UTF-8.
  stat.comm = ReplaceInvalidUtf8(line->comm);
  stat.start_ticks = line->start_ticks;
  stat.kernel_thread = (line->flags & kPfKthread) != 0;
  stat.cpu_ns = static_cast<int64_t>(line->cpu_ticks) * (kNsPerSecond / host.ticks_per_second);
  // The scheduler's own count is in nanoseconds and of the first thread only: good for one thread.
  const auto threads = host.fs.List(fmt::format("/proc/{}/task", pid));
  if (threads && threads->size() == 1) {
    if (const auto schedstat = host.fs.Read(fmt::format("/proc/{}/schedstat", pid))) {
      std::string_view words = *schedstat;
      stat.cpu_ns = ParseInt(NextWord(words)).value_or(stat.cpu_ns);
    }
  }
  return stat;
}

std::vector<uint32_t> ListProcesses(const HostView& host) {
  std::vector<uint32_t> pids;
  const auto names = host.fs.List("/proc");
  if (!names) return pids;
  for (const std::string& name : *names) {
    if (const auto pid = ParseUint(name)) pids.push_back(static_cast<uint32_t>(*pid));
  }
  return pids;
}

std::string ProcessIdentity::Text() const {
  return fmt::format("{}:{}:{}", pid, start_ticks, boot_id);
}

Result<ProcessIdentity> ProcessIdentity::Parse(std::string_view text) {
  const std::vector<std::string_view> parts = Split(text, ':');
  if (parts.size() != 3) return Fail(ErrorCode::kCorruption, "no process identity: {}", text);
  const auto pid = ParseUint(parts[0]);
  const auto start = ParseUint(parts[1]);
  if (!pid || !start || *pid == 0 || *pid > UINT32_MAX) {
    return Fail(ErrorCode::kCorruption, "no process identity: {}", text);
  }
  return ProcessIdentity{static_cast<uint32_t>(*pid), *start, std::string(parts[2])};
}

Result<LiveProcess> ReadIfSame(const HostView& host, const ProcessIdentity& identity) {
  if (identity.boot_id != host.boot_id) {
    return Fail(ErrorCode::kNotFound, "process {} was of an earlier boot", identity.pid);
  }
  FAULTLINE_ASSIGN(LiveProcess stat, ReadLiveProcess(host, identity.pid));
  if (stat.start_ticks != identity.start_ticks || stat.state == 'Z' || stat.state == 'X') {
    return Fail(ErrorCode::kNotFound, "process {} has ended", identity.pid);
  }
  return stat;
}

Result<void> SignalProcess(const HostView& host, const ProcessIdentity& identity,
                           int signal_number) {
  const PidFd process(identity.pid);
  if (process.fd() < 0) {
    if (errno == ESRCH) return Fail(ErrorCode::kNotFound, "process {} has ended", identity.pid);
    return FailErrno(errno, "pidfd_open {}", identity.pid);
  }
  // Checked after the descriptor was taken: from here on it can only mean this one process.
  FAULTLINE_TRY(ReadIfSame(host, identity));
  if (syscall(SYS_pidfd_send_signal, process.fd(), signal_number, nullptr, 0) != 0) {
    if (errno == ESRCH) return Fail(ErrorCode::kNotFound, "process {} has ended", identity.pid);
    return FailErrno(errno, "signal {} to process {}", signal_number, identity.pid);
  }
  return {};
}

}  // namespace faultline
