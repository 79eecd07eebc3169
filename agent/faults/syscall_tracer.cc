#include "agent/faults/syscall_tracer.h"

#include <elf.h>
#include <poll.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <filesystem>

#include "common/clock.h"
#include "common/text.h"

namespace faultline {
namespace {

constexpr int64_t kLookEveryNs = 200 * kNsPerMs;
constexpr size_t kMaxThreads = 8192;
constexpr long kOptions = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK |
                          PTRACE_O_TRACEVFORK | PTRACE_O_TRACEEXEC;

struct NamedCall {
  long number;
  std::string_view name;
};
constexpr NamedCall kCalls[] = {
#include "syscall_numbers.inc"
};

int64_t NowNs() {
  timespec time{};
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * kNsPerSecond + time.tv_nsec;
}

// The call that is about to begin becomes none at all.
void SkipCall(pid_t tid) {
#if defined(__x86_64__)
  ptrace(PTRACE_POKEUSER, tid, offsetof(user_regs_struct, orig_rax), -1L);
#elif defined(__aarch64__)
  int none = -1;
  iovec part{&none, sizeof none};
  ptrace(PTRACE_SETREGSET, tid, NT_ARM_SYSTEM_CALL, &part);
#endif
}

void SetResult(pid_t tid, int64_t result) {
#if defined(__x86_64__)
  ptrace(PTRACE_POKEUSER, tid, offsetof(user_regs_struct, rax), result);
#elif defined(__aarch64__)
  user_regs_struct registers{};
  iovec part{&registers, sizeof registers};
  if (ptrace(PTRACE_GETREGSET, tid, NT_PRSTATUS, &part) != 0) return;
  registers.regs[0] = static_cast<uint64_t>(result);
  ptrace(PTRACE_SETREGSET, tid, NT_PRSTATUS, &part);
#endif
}

std::vector<pid_t> ThreadsOf(uint32_t pid) {
  std::vector<pid_t> threads;
  std::error_code error;
  const std::string folder = fmt::format("/proc/{}/task", pid);
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    if (const auto tid = ParseUint(entry.path().filename().string()))
      threads.push_back(static_cast<pid_t>(*tid));
  }
  return threads;
}

}  // namespace

long TracedCallNumber(std::string_view name) {
  for (const NamedCall& call : kCalls) {
    if (call.name == name) return call.number;
  }
  return -1;
}

int ErrorNumber(std::string_view text) {
  if (const auto number = ParseUint(text))
    return *number > 0 && *number < 4096 ? static_cast<int>(*number) : 0;
  for (int number = 1; number < 140; ++number) {
    const char* name = strerrorname_np(number);
    if (name != nullptr && text == name) return number;
  }
  return 0;
}

bool ReadMemory(pid_t tid, uint64_t address, void* to, size_t bytes) {
  iovec here{to, bytes};
  iovec there{reinterpret_cast<void*>(address), bytes};
  return process_vm_readv(tid, &here, 1, &there, 1, 0) == static_cast<ssize_t>(bytes);
}

bool WriteMemory(pid_t tid, uint64_t address, const void* from, size_t bytes) {
  iovec here{const_cast<void*>(from), bytes};
  iovec there{reinterpret_cast<void*>(address), bytes};
  return process_vm_writev(tid, &here, 1, &there, 1, 0) == static_cast<ssize_t>(bytes);
}

std::optional<std::string> ReadText(pid_t tid, uint64_t address, size_t max_bytes) {
  std::string text;
  while (text.size() < max_bytes) {
    // Up to the end of a page: the next one need not be there.
    char buffer[256];
    const uint64_t at = address + text.size();
    const size_t piece = std::min<size_t>(sizeof buffer, 4096 - at % 4096);
    if (!ReadMemory(tid, at, buffer, piece)) return std::nullopt;
    const size_t length = strnlen(buffer, piece);
    text.append(buffer, length);
    if (length < piece) return text;
  }
  return std::nullopt;
}

void SyscallTracer::Take(uint32_t pid) {
  for (const pid_t tid : ThreadsOf(pid)) {
    if (threads_.contains(tid) || threads_.size() >= kMaxThreads) continue;
    if (ptrace(PTRACE_SEIZE, tid, 0, kOptions) != 0) {
      last_error_ = errno;
      continue;
    }
    threads_[tid];
    ptrace(PTRACE_INTERRUPT, tid, 0, 0);  // from its first stop on its calls are seen
  }
}

Result<void> SyscallTracer::Attach() {
  for (const uint32_t pid : list_()) Take(pid);
  if (threads_.empty())
    return FailErrno(last_error_ == 0 ? ESRCH : last_error_, "unsupported: trace the target");
  return {};
}

void SyscallTracer::Continue(pid_t tid, int signal_number) {
  if (leaving_) {
    ptrace(PTRACE_DETACH, tid, 0, static_cast<long>(signal_number));
    threads_.erase(tid);
  } else {
    ptrace(PTRACE_SYSCALL, tid, 0, static_cast<long>(signal_number));
  }
}

void SyscallTracer::OnCall(pid_t tid) {
  Thread& thread = threads_[tid];
  __ptrace_syscall_info info{};
  if (ptrace(PTRACE_GET_SYSCALL_INFO, tid, sizeof info, &info) <= 0) return Continue(tid);
  if (info.op == PTRACE_SYSCALL_INFO_ENTRY) {
    thread.in_call = true;
    thread.call.tid = tid;
    thread.call.number = info.entry.nr;
    std::copy(std::begin(info.entry.args), std::end(info.entry.args), thread.call.args);
    thread.verdict = leaving_ ? CallVerdict{} : rules_.OnBegin(thread.call);
    if (thread.verdict.error_number != 0) SkipCall(tid);
    if (thread.verdict.delay_ns > 0) {
      waiting_.push({NowNs() + thread.verdict.delay_ns, tid});
      return;
    }
  } else if (info.op == PTRACE_SYSCALL_INFO_EXIT && thread.in_call) {
    thread.in_call = false;
    const CallVerdict verdict = thread.verdict;
    int64_t result = info.exit.rval;
    if (verdict.error_number != 0) {
      SetResult(tid, -verdict.error_number);
      // What the thread will see, read again.
      if (ptrace(PTRACE_GET_SYSCALL_INFO, tid, sizeof info, &info) > 0) result = info.exit.rval;
    }
    if (verdict.see_end || verdict.error_number != 0 || verdict.delay_ns > 0)
      rules_.OnEnd(thread.call, result);
  }
  Continue(tid);
}

void SyscallTracer::OnStop(pid_t tid, int status) {
  if (WIFEXITED(status) || WIFSIGNALED(status)) {
    threads_.erase(tid);
    return;
  }
  if (!WIFSTOPPED(status)) return;
  threads_[tid];  // a child that began under our eyes
  const int signal_number = WSTOPSIG(status);
  const int event = status >> 16;
  if (signal_number == (SIGTRAP | 0x80)) return OnCall(tid);
  if (event == PTRACE_EVENT_STOP) {
    const bool group = signal_number == SIGSTOP || signal_number == SIGTSTP ||
                       signal_number == SIGTTIN || signal_number == SIGTTOU;
    if (group && !leaving_) {
      ptrace(PTRACE_LISTEN, tid, 0, 0);  // it stays stopped, as it was told
      return;
    }
    return Continue(tid);
  }
  Continue(tid, event != 0 ? 0 : signal_number);
}

void SyscallTracer::Run(int stop_fd) {
  sigset_t child;
  sigemptyset(&child);
  sigaddset(&child, SIGCHLD);
  while (true) {
    int status = 0;
    bool any = false;
    for (int i = 0; i < 256; ++i) {
      const pid_t tid = waitpid(-1, &status, WNOHANG | __WALL);
      if (tid <= 0) break;
      any = true;
      OnStop(tid, status);
    }
    const int64_t now = NowNs();
    while (!waiting_.empty() && waiting_.top().until_ns <= now) {
      const pid_t tid = waiting_.top().tid;
      waiting_.pop();
      if (threads_.contains(tid)) Continue(tid);
    }
    if (now >= next_look_ns_) {
      next_look_ns_ = now + kLookEveryNs;
      for (const uint32_t pid : list_()) Take(pid);
      pollfd stop{stop_fd, POLLIN, 0};
      if (poll(&stop, 1, 0) > 0) break;
    }
    if (any) continue;
    int64_t sleep_ns = 20 * kNsPerMs;
    if (!waiting_.empty()) sleep_ns = std::min(sleep_ns, waiting_.top().until_ns - now);
    const timespec timeout{0, std::max<int64_t>(sleep_ns, 0)};
    sigtimedwait(&child, nullptr, &timeout);
  }
  LetAllGo();
}

// A thread can be let go only while it stands; those in the middle of a failing call are first seen
// to its end.
void SyscallTracer::LetAllGo() {
  leaving_ = true;
  while (!waiting_.empty()) waiting_.pop();
  std::vector<pid_t> all;
  for (const auto& [tid, thread] : threads_) all.push_back(tid);
  for (const pid_t tid : all) {
    const Thread& thread = threads_[tid];
    if (thread.in_call && thread.verdict.error_number != 0) {
      ptrace(PTRACE_SYSCALL, tid, 0, 0);  // to its end
      continue;
    }
    if (ptrace(PTRACE_DETACH, tid, 0, 0) == 0) {  // it stood
      threads_.erase(tid);
    } else if (ptrace(PTRACE_INTERRUPT, tid, 0, 0) != 0) {
      threads_.erase(tid);  // it has ended
    }
  }
  const int64_t end = NowNs() + 200 * kNsPerMs;
  while (!threads_.empty() && NowNs() < end) {
    int status = 0;
    const pid_t tid = waitpid(-1, &status, WNOHANG | __WALL);
    if (tid > 0) {
      OnStop(tid, status);
    } else if (tid < 0) {
      break;
    } else {
      usleep(500);
    }
  }
}

}  // namespace faultline
