#include "agent/faults/vdso_patch.h"

#include <elf.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>

#include "common/text.h"

namespace faultline {
namespace {

constexpr size_t kMaxVdsoBytes = size_t{1} << 16;
constexpr size_t kMaxThreads = 4096;
constexpr uint64_t kRedZoneBytes = 1024;

template <typename Struct>
bool ReadAt(std::string_view image, uint64_t offset, Struct& to) {
  if (offset > image.size() || image.size() - offset < sizeof to) return false;
  std::memcpy(&to, image.data() + offset, sizeof to);
  return true;
}

// Waits for a stop of that thread, a second at most.
Result<int> WaitForStop(pid_t thread) {
  for (int i = 0; i < 1000; ++i) {
    int status = 0;
    const pid_t got = waitpid(thread, &status, __WALL | WNOHANG);
    if (got == thread) {
      if (WIFSTOPPED(status)) return status;
      return Fail(ErrorCode::kNotFound, "thread {} has ended", thread);
    }
    if (got < 0) return FailErrno(errno, "wait for thread {}", thread);
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return Fail(ErrorCode::kTimeout, "thread {} does not stop (frozen?)", thread);
}

}  // namespace

std::vector<MemoryRange> ReadMemoryMap(const HostView& host, uint32_t pid) {
  std::vector<MemoryRange> ranges;
  const auto text = host.fs.Read(fmt::format("/proc/{}/maps", pid), size_t{16} << 20);
  if (!text) return ranges;
  std::string_view rest = *text;
  std::string_view line;
  while (NextLine(rest, line)) {
    const std::string_view addresses = NextWord(line);
    const size_t dash = addresses.find('-');
    const auto begin = ParseUint(addresses.substr(0, dash), 16);
    const auto end =
        dash == std::string_view::npos ? std::nullopt : ParseUint(addresses.substr(dash + 1), 16);
    for (int i = 0; i < 4; ++i) NextWord(line);
    if (begin && end) ranges.push_back({*begin, *end, std::string(Trim(line))});
  }
  return ranges;
}

Result<VdsoLayout> ParseVdso(std::string_view image, uint64_t base) {
#if !defined(__x86_64__)
  (void)image, (void)base;
  return Fail(ErrorCode::kUnsupported, "unsupported: clocks are patched on x86-64 only");
#else
  const auto bad = [] {
    return Fail(ErrorCode::kUnsupported, "unsupported: the vDSO cannot be read");
  };
  Elf64_Ehdr header{};
  if (!ReadAt(image, 0, header) || std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 ||
      header.e_machine != EM_X86_64)
    return bad();
  Elf64_Shdr symbols{}, names{};
  for (unsigned i = 0; i < header.e_shnum && i < 256; ++i) {
    Elf64_Shdr section{};
    if (!ReadAt(image, header.e_shoff + uint64_t{i} * sizeof section, section)) return bad();
    if (section.sh_type == SHT_DYNSYM) symbols = section;
  }
  if (symbols.sh_size == 0 ||
      !ReadAt(image, header.e_shoff + uint64_t{symbols.sh_link} * sizeof names, names))
    return bad();
  VdsoLayout layout;
  for (uint64_t at = 0; at + sizeof(Elf64_Sym) <= symbols.sh_size && at < 65536;
       at += sizeof(Elf64_Sym)) {
    Elf64_Sym symbol{};
    if (!ReadAt(image, symbols.sh_offset + at, symbol)) return bad();
    const uint64_t name_at = names.sh_offset + symbol.st_name;
    if (name_at >= image.size()) return bad();
    const std::string_view name = image.substr(name_at).substr(0, image.substr(name_at).find('\0'));
    for (const std::string_view wanted : {"clock_gettime", "gettimeofday", "time"}) {
      if (name != "__vdso_" + std::string(wanted)) continue;
      if (symbol.st_size < 12 || symbol.st_value >= image.size())
        return Fail(ErrorCode::kUnsupported, "unsupported: {} is too small to be patched", name);
      layout.functions.push_back({std::string(wanted), base + symbol.st_value});
    }
  }
  const size_t instruction = image.find("\x0f\x05");
  if (layout.functions.empty() || instruction == std::string_view::npos) return bad();
  layout.syscall_instruction = base + instruction;
  return layout;
#endif
}

Result<VdsoLayout> ReadVdso(const HostView& host, uint32_t pid) {
  for (const MemoryRange& range : ReadMemoryMap(host, pid)) {
    if (range.name != "[vdso]") continue;
    FAULTLINE_ASSIGN(
        const std::string image,
        ReadMemory(pid, range.begin, std::min<size_t>(range.end - range.begin, kMaxVdsoBytes)));
    return ParseVdso(image, range.begin);
  }
  return Fail(ErrorCode::kUnsupported, "unsupported: process {} has no vDSO", pid);
}

Result<std::string> ReadMemory(uint32_t pid, uint64_t address, size_t size) {
  const int fd = open(fmt::format("/proc/{}/mem", pid).c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return FailErrno(errno, "open the memory of process {}", pid);
  std::string bytes(size, '\0');
  const ssize_t n = pread(fd, bytes.data(), size, static_cast<off_t>(address));
  const int error = errno;
  close(fd);
  if (n != static_cast<ssize_t>(size))
    return FailErrno(n < 0 ? error : EFAULT, "read memory of process {} at {:x}", pid, address);
  return bytes;
}

Result<void> WriteMemory(uint32_t pid, uint64_t address, std::string_view bytes) {
  const int fd = open(fmt::format("/proc/{}/mem", pid).c_str(), O_WRONLY | O_CLOEXEC);
  if (fd < 0) return FailErrno(errno, "open the memory of process {}", pid);
  const ssize_t n = pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(address));
  const int error = errno;
  close(fd);
  if (n != static_cast<ssize_t>(bytes.size()))
    return FailErrno(n < 0 ? error : EFAULT, "write memory of process {} at {:x}", pid, address);
  return {};
}

Result<StoppedProcess> StoppedProcess::Stop(const HostView& host, uint32_t pid) {
  StoppedProcess process;
  process.pid_ = pid;
  // Until a round finds no new thread.
  for (bool found = true; found;) {
    found = false;
    FAULTLINE_ASSIGN(const auto names, host.fs.List(fmt::format("/proc/{}/task", pid)));
    for (const std::string& name : names) {
      const auto thread = static_cast<pid_t>(ParseInt(name).value_or(0));
      if (std::find(process.threads_.begin(), process.threads_.end(), thread) !=
          process.threads_.end())
        continue;
      if (process.threads_.size() >= kMaxThreads)
        return Fail(ErrorCode::kResourceExhausted, "process {} has too many threads", pid);
      if (ptrace(PTRACE_SEIZE, thread, nullptr, nullptr) != 0) {
        if (errno == ESRCH) continue;
        return FailErrno(errno, "trace thread {}", thread);
      }
      process.threads_.push_back(thread);
      found = true;
      if (ptrace(PTRACE_INTERRUPT, thread, nullptr, nullptr) != 0)
        return FailErrno(errno, "stop thread {}", thread);
      FAULTLINE_ASSIGN(const int status, WaitForStop(thread));
      const int number = WSTOPSIG(status);
      if (status >> 16 == 0 && number != SIGTRAP) process.signals_.emplace_back(thread, number);
    }
  }
  if (process.threads_.empty()) return Fail(ErrorCode::kNotFound, "process {} has ended", pid);
  return process;
}

StoppedProcess::StoppedProcess(StoppedProcess&& other) noexcept
    : pid_(other.pid_),
      threads_(std::exchange(other.threads_, {})),
      signals_(std::exchange(other.signals_, {})) {}

StoppedProcess::~StoppedProcess() {
  for (const pid_t thread : threads_) ptrace(PTRACE_DETACH, thread, nullptr, nullptr);
  for (const auto& [thread, number] : signals_) syscall(SYS_tgkill, pid_, thread, number);
}

#if defined(__x86_64__)

Result<bool> StoppedProcess::AnyThreadIn(uint64_t begin, uint64_t end) const {
  for (const pid_t thread : threads_) {
    user_regs_struct registers{};
    if (ptrace(PTRACE_GETREGS, thread, nullptr, &registers) != 0)
      return FailErrno(errno, "registers of thread {}", thread);
    if (registers.rip >= begin && registers.rip < end) return true;
  }
  return false;
}

Result<uint64_t> StoppedProcess::Scratch() const {
  user_regs_struct registers{};
  if (ptrace(PTRACE_GETREGS, threads_.front(), nullptr, &registers) != 0)
    return FailErrno(errno, "registers of thread {}", threads_.front());
  return (registers.rsp - kRedZoneBytes) & ~uint64_t{0xf};
}

Result<void> StoppedProcess::RunUntilStop(pid_t thread, int request, const user_regs_struct& from,
                                          user_regs_struct& to) {
  user_regs_struct saved{};
  if (ptrace(PTRACE_GETREGS, thread, nullptr, &saved) != 0)
    return FailErrno(errno, "registers of thread {}", thread);
  user_regs_struct start = from;
  start.orig_rax = static_cast<unsigned long long>(-1);  // no system call is to be restarted
  Result<void> done;
  if (ptrace(PTRACE_SETREGS, thread, nullptr, &start) != 0)
    return FailErrno(errno, "set registers of thread {}", thread);
  for (int i = 0; i < 100; ++i) {
    if (ptrace(static_cast<__ptrace_request>(request), thread, nullptr, nullptr) != 0) {
      done = FailErrno(errno, "run thread {}", thread);
      break;
    }
    const auto status = WaitForStop(thread);
    if (!status) {
      done = std::unexpected(status.error());
      break;
    }
    const int number = WSTOPSIG(*status);
    if (ptrace(PTRACE_GETREGS, thread, nullptr, &to) != 0)
      done = FailErrno(errno, "registers of thread {}", thread);
    // A stop that was asked for earlier, by us or by a tracer that has died, may come first.
    const bool arrived = request == PTRACE_SINGLESTEP ? number == SIGTRAP && to.rip != from.rip
                                                      : number == SIGSEGV && to.rip == 0;
    if (arrived || !done) break;
    if (*status >> 16 == 0 && number != SIGTRAP) signals_.emplace_back(thread, number);
    if (i == 99 || (number == SIGSEGV && request != PTRACE_SINGLESTEP))
      done = Fail(ErrorCode::kInternal, "thread {} did not come back", thread);
    if (!done) break;
  }
  if (ptrace(PTRACE_SETREGS, thread, nullptr, &saved) != 0 && done)
    return FailErrno(errno, "restore registers of thread {}", thread);
  return done;
}

Result<uint64_t> StoppedProcess::SystemCall(uint64_t instruction,
                                            const std::vector<uint64_t>& words) {
  const pid_t thread = threads_.front();
  user_regs_struct registers{};
  if (ptrace(PTRACE_GETREGS, thread, nullptr, &registers) != 0)
    return FailErrno(errno, "registers of thread {}", thread);
  const auto word = [&](size_t i) { return i < words.size() ? words[i] : 0; };
  registers.rip = instruction;
  registers.rax = word(0);
  registers.rdi = word(1);
  registers.rsi = word(2);
  registers.rdx = word(3);
  registers.r10 = word(4);
  registers.r8 = word(5);
  registers.r9 = word(6);
  user_regs_struct after{};
  FAULTLINE_TRY(RunUntilStop(thread, PTRACE_SINGLESTEP, registers, after));
  const auto result = static_cast<int64_t>(after.rax);
  if (result < 0 && result > -4096)
    return FailErrno(static_cast<int>(-result), "system call {} in process {}", word(0), pid_);
  return after.rax;
}

// It returns to address 0, where the fault that follows is caught.
Result<uint64_t> StoppedProcess::Call(uint64_t function, uint64_t first, uint64_t second) {
  const pid_t thread = threads_.front();
  FAULTLINE_ASSIGN(const uint64_t scratch, Scratch());
  user_regs_struct registers{};
  if (ptrace(PTRACE_GETREGS, thread, nullptr, &registers) != 0)
    return FailErrno(errno, "registers of thread {}", thread);
  registers.rsp = scratch - 256 - 8;
  FAULTLINE_TRY(WriteMemory(pid_, registers.rsp, std::string(8, '\0')));
  registers.rip = function;
  registers.rdi = first;
  registers.rsi = second;
  registers.rax = 0;
  user_regs_struct after{};
  FAULTLINE_TRY(RunUntilStop(thread, PTRACE_CONT, registers, after));
  return after.rax;
}

#else

Result<bool> StoppedProcess::AnyThreadIn(uint64_t, uint64_t) const {
  return Fail(ErrorCode::kUnsupported, "x86-64 only");
}
Result<uint64_t> StoppedProcess::Scratch() const {
  return Fail(ErrorCode::kUnsupported, "x86-64 only");
}
Result<uint64_t> StoppedProcess::SystemCall(uint64_t, const std::vector<uint64_t>&) {
  return Fail(ErrorCode::kUnsupported, "x86-64 only");
}
Result<uint64_t> StoppedProcess::Call(uint64_t, uint64_t, uint64_t) {
  return Fail(ErrorCode::kUnsupported, "x86-64 only");
}

#endif

}  // namespace faultline
