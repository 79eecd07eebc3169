// System calls of a target's processes, seen and changed as they begin and end, by ptrace: the one
// mechanism that every kernel allows on a process that runs already. Each call of a traced thread
// costs two switches to us (some 10 to 30 µs), whether it is meant or not: that is part of the
// fault. When we die the kernel lets every thread go. Limits: a process that somebody else traces
// cannot be taken; calls that wait when we come are interrupted once, as by a signal without a
// handler.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <queue>
#include <set>
#include <string>
#include <vector>

#include "common/result.h"

namespace faultline {

struct TracedCall {
  pid_t tid = 0;
  uint64_t number = 0;
  uint64_t args[6] = {};
};

struct CallVerdict {
  int error_number = 0;  // it fails with this and does nothing
  int64_t delay_ns = 0;  // it waits before it begins
  bool see_end = false;  // OnEnd is wanted
};

class CallRules {
 public:
  virtual ~CallRules() = default;
  virtual CallVerdict OnBegin(const TracedCall& call) = 0;
  // `result` is what the call returned, or will be seen to have failed with (negative errno).
  virtual void OnEnd(const TracedCall& call, int64_t result) = 0;
};

class SyscallTracer {
 public:
  // `list` names the processes that are meant; it is asked again and again, for those that come.
  SyscallTracer(CallRules& rules, std::function<std::vector<uint32_t>()> list)
      : rules_(rules), list_(std::move(list)) {}
  // Takes every thread; an error if it could take none.
  Result<void> Attach();
  // Until `stop_fd` is readable; lets all go.
  void Run(int stop_fd);

 private:
  struct Thread {
    bool in_call = false;
    TracedCall call;
    CallVerdict verdict;
  };
  struct Waiting {
    int64_t until_ns;
    pid_t tid;
    bool operator>(const Waiting& other) const { return until_ns > other.until_ns; }
  };

  void Take(uint32_t pid);
  void OnStop(pid_t tid, int status);
  void OnCall(pid_t tid);
  void Continue(pid_t tid, int signal_number = 0);
  void LetAllGo();

  CallRules& rules_;
  const std::function<std::vector<uint32_t>()> list_;
  std::map<pid_t, Thread> threads_;
  std::priority_queue<Waiting, std::vector<Waiting>, std::greater<>> waiting_;
  int64_t next_look_ns_ = 0;
  int last_error_ = 0;
  bool leaving_ = false;
};

// Memory of a traced thread.
bool ReadMemory(pid_t tid, uint64_t address, void* to, size_t bytes);
bool WriteMemory(pid_t tid, uint64_t address, const void* from, size_t bytes);
std::optional<std::string> ReadText(pid_t tid, uint64_t address, size_t max_bytes = 4096);

// -1: there is no such call here. openat, read …
long TracedCallNumber(std::string_view name);
// EIO or 5; 0: there is none.
int ErrorNumber(std::string_view text);

}  // namespace faultline
