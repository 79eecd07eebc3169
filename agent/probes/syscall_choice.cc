#include "agent/probes/syscall_choice.h"

#include <algorithm>
#include <string_view>

#include "agent/probes/syscall_names.h"
#include "faultline/v1/config.pb.h"

namespace faultline {
namespace {

// Calls whose purpose is to wait for somebody: long is not slow.
constexpr std::string_view kWait[] = {
    "accept",        "accept4",         "clock_nanosleep", "epoll_pwait",     "epoll_pwait2",
    "epoll_wait",    "futex",           "futex_wait",      "futex_waitv",     "io_getevents",
    "io_pgetevents", "io_uring_enter",  "mq_timedreceive", "msgrcv",          "nanosleep",
    "pause",         "poll",            "ppoll",           "pselect6",        "restart_syscall",
    "rt_sigsuspend", "rt_sigtimedwait", "select",          "semop",           "semtimedop",
    "vfork",         "wait4",           "waitid"};

// Calls whose first argument is a file descriptor.
constexpr std::string_view kTakeFd[] = {
    "accept",     "accept4",   "bind",      "close",     "connect",   "copy_file_range",
    "fadvise64",  "fallocate", "fchmod",    "fchown",    "fcntl",     "fdatasync",
    "fgetxattr",  "flock",     "fsync",     "fstat",     "fstatfs",   "ftruncate",
    "getdents",   "getdents64", "ioctl",    "listen",    "lseek",     "openat",
    "pread64",    "preadv",    "preadv2",   "pwrite64",  "pwritev",   "pwritev2",
    "read",       "readahead", "readv",     "recvfrom",  "recvmmsg",  "recvmsg",
    "sendfile",   "sendmmsg",  "sendmsg",   "sendto",    "shutdown",  "sync_file_range",
    "syncfs",     "vmsplice",  "write",     "writev"};

template <size_t kSize>
void Mark(const std::string_view (&names)[kSize], uint8_t bit, SyscallChoice& choice) {
  for (const std::string_view name : names) {
    const auto number = SyscallNumber(name);
    if (number && *number < SYSCALL_NUMBERS) choice.treatment[*number] |= bit;
  }
}

}  // namespace

Result<SyscallChoice> ReadSyscallChoice(const v1::SyscallsProbeConfig& config) {
  SyscallChoice choice;
  Mark(kWait, SYSCALL_WAITS, choice);
  Mark(kTakeFd, SYSCALL_TAKES_FD, choice);
  for (const std::string& name : config.calls()) {
    const auto number = SyscallNumber(name);
    if (!number || *number >= SYSCALL_NUMBERS)
      return Fail(ErrorCode::kInvalidArgument, "probes.syscalls.calls: there is no `{}`", name);
    choice.treatment[*number] |= SYSCALL_CHOSEN;
    if (std::find(choice.names.begin(), choice.names.end(), name) == choice.names.end())
      choice.names.push_back(name);
  }
  return choice;
}

}  // namespace faultline
