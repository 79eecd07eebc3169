#include "agent/faults/disk_probe.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>

#include "common/text.h"

namespace faultline {
namespace {

constexpr size_t kFileBytes = size_t{4} << 20;
constexpr int64_t kFirstNs = 200'000'000;  // what the kernel lets through at once does not count
constexpr int64_t kWindowNs = 1'000'000'000;
constexpr int kPatienceMs = 8000;  // one operation of a slow limit may take seconds

int64_t NowNs() {
  timespec time{};
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * int64_t{1'000'000'000} + time.tv_nsec;
}

struct Counted {
  int64_t blocks = 0;
  int64_t ns = 0;
};

// In the child of a process with threads: system calls only.
Counted Work(const DiskProbe& probe, int file, char* block) {
  Counted counted;
  const int64_t begin = NowNs();
  int64_t counted_from = 0;
  for (off_t at = 0;;) {
    const ssize_t n = probe.writes ? pwrite(file, block, probe.block_bytes, at)
                                   : pread(file, block, probe.block_bytes, at);
    if (n != static_cast<ssize_t>(probe.block_bytes)) break;
    at += n;
    if (at + n > static_cast<off_t>(kFileBytes)) at = 0;
    const int64_t now = NowNs();
    if (counted_from != 0) {
      ++counted.blocks;
      counted.ns = now - counted_from;
    } else if (now - begin >= kFirstNs) {
      counted_from = now;
    }
    // At least two, however slow.
    if (counted.ns >= kWindowNs && counted.blocks >= 2) break;
  }
  return counted;
}

}  // namespace

Result<double> ProbeDisk(const DiskProbe& probe, const FileDescriptor& folder,
                         const std::string& cgroup_folder, const HostView& host) {
  const std::string self = fmt::format("/proc/self/fd/{}", folder.get());
  const FileDescriptor file(open(self.c_str(), O_TMPFILE | O_RDWR | O_DIRECT | O_CLOEXEC, 0600));
  if (!file) return FailErrno(errno, "unsupported: a file without a name, past the page cache");
  const std::string procs = host.fs.Path(cgroup_folder + "/cgroup.procs");
  const FileDescriptor cgroup(open(procs.c_str(), O_WRONLY | O_CLOEXEC));
  if (!cgroup) return FailErrno(errno, "open {}", procs);
  void* memory =
      mmap(nullptr, kFileBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return FailErrno(errno, "memory of a disk probe");
  // By us, whom nothing throttles.
  const bool filled = pwrite(file.get(), memory, kFileBytes, 0) == static_cast<ssize_t>(kFileBytes);
  const int fill_error = errno;
  int ends[2];
  if (!filled || pipe2(ends, O_CLOEXEC) != 0) {
    munmap(memory, kFileBytes);
    return FailErrno(filled ? errno : fill_error, "fill the file of a disk probe");
  }
  const pid_t child = fork();
  if (child == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    Counted counted;
    if (write(cgroup.get(), "0", 1) == 1)
      counted = Work(probe, file.get(), static_cast<char*>(memory));
    (void)!write(ends[1], &counted, sizeof counted);
    _exit(0);
  }
  close(ends[1]);
  munmap(memory, kFileBytes);
  Counted counted;
  pollfd event{ends[0], POLLIN, 0};
  const bool answered = child > 0 && poll(&event, 1, kPatienceMs) > 0 &&
                        read(ends[0], &counted, sizeof counted) == sizeof counted;
  close(ends[0]);
  if (child > 0) {
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
  }
  if (!answered || counted.ns == 0)
    return Fail(ErrorCode::kTimeout, "the disk probe moved nothing in {} ms", kPatienceMs);
  return static_cast<double>(counted.blocks) * 1e9 / static_cast<double>(counted.ns);
}

}  // namespace faultline
