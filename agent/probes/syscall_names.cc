// The table is made from <sys/syscall.h> when the build is configured (CMakeLists.txt), so it fits
// the architecture.
#include "agent/probes/syscall_names.h"

#include <fmt/format.h>
#include <sys/syscall.h>

#include <algorithm>
#include <cstring>
#include <iterator>
#include <string_view>

namespace faultline {
namespace {

struct Numbered {
  uint32_t number;
  std::string_view name;
};
constexpr Numbered kSyscalls[] = {
#include "syscall_names.inc"
};
// Never seen by programs: the kernel restarts the call or turns them into EINTR behind the probe.
constexpr Numbered kRestarts[] = {{512, "ERESTARTSYS"},
                                  {513, "ERESTARTNOINTR"},
                                  {514, "ERESTARTNOHAND"},
                                  {516, "ERESTART_RESTARTBLOCK"}};

}  // namespace

std::string SyscallName(uint32_t number) {
  const auto found = std::find_if(std::begin(kSyscalls), std::end(kSyscalls),
                                  [&](const Numbered& entry) { return entry.number == number; });
  return found != std::end(kSyscalls) ? std::string(found->name)
                                      : fmt::format("syscall_{}", number);
}

std::optional<uint32_t> SyscallNumber(std::string_view name) {
  const auto found = std::find_if(std::begin(kSyscalls), std::end(kSyscalls),
                                  [&](const Numbered& entry) { return entry.name == name; });
  return found != std::end(kSyscalls) ? std::optional(found->number) : std::nullopt;
}

std::string ErrnoName(uint32_t error_number) {
  if (const char* name = strerrorname_np(static_cast<int>(error_number))) return name;
  for (const Numbered& restart : kRestarts) {
    if (restart.number == error_number) return std::string(restart.name);
  }
  return fmt::format("errno_{}", error_number);
}

}  // namespace faultline
