// Where a process reads its clocks without the kernel: the vDSO, and how to change it from outside.
// The process stands still (ptrace) while its memory is changed or a function is called in it.
// x86-64.
#pragma once

#include <sys/types.h>
#include <sys/user.h>

#include <cstdint>
#include <string>
#include <vector>

#include "common/host_view.h"
#include "common/result.h"

namespace faultline {

struct MemoryRange {
  uint64_t begin = 0;
  uint64_t end = 0;
  std::string name;
};
std::vector<MemoryRange> ReadMemoryMap(const HostView& host, uint32_t pid);

struct VdsoFunction {
  std::string name;  // clock_gettime, gettimeofday, time
  uint64_t address = 0;
};
struct VdsoLayout {
  std::vector<VdsoFunction> functions;
  uint64_t syscall_instruction = 0;
};
// From the bytes of the vDSO that is mapped at `base`. kUnsupported says what it lacks.
Result<VdsoLayout> ParseVdso(std::string_view image, uint64_t base);
Result<VdsoLayout> ReadVdso(const HostView& host, uint32_t pid);

Result<std::string> ReadMemory(uint32_t pid, uint64_t address, size_t size);
Result<void> WriteMemory(uint32_t pid, uint64_t address, std::string_view bytes);

// All threads of a process, stopped until this goes away; then they go on as if nothing had been.
class StoppedProcess {
 public:
  // kTimeout when they do not stop: frozen, or in the kernel for long.
  static Result<StoppedProcess> Stop(const HostView& host, uint32_t pid);
  StoppedProcess(StoppedProcess&& other) noexcept;
  StoppedProcess& operator=(StoppedProcess&&) = delete;
  StoppedProcess(const StoppedProcess&) = delete;
  ~StoppedProcess();

  // Whether a thread is about to execute something in [begin, end).
  Result<bool> AnyThreadIn(uint64_t begin, uint64_t end) const;
  // By the first thread: a system call; a function that returns a number.
  Result<uint64_t> SystemCall(uint64_t instruction, const std::vector<uint64_t>& words);
  Result<uint64_t> Call(uint64_t function, uint64_t first, uint64_t second);
  // 16 bytes below the first thread's stack that nobody uses now.
  Result<uint64_t> Scratch() const;

 private:
  StoppedProcess() = default;
  Result<void> RunUntilStop(pid_t thread, int request, const user_regs_struct& from,
                            user_regs_struct& to);

  uint32_t pid_ = 0;
  std::vector<pid_t> threads_;
  std::vector<std::pair<pid_t, int>> signals_;  // that came meanwhile, for later
};

}  // namespace faultline
