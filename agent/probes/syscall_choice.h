// What the configuration says of single system calls, as the kernel side wants it: one byte each.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "bpf/syscalls.h"
#include "common/result.h"

namespace faultline::v1 {
class SyscallsProbeConfig;
}

namespace faultline {

struct SyscallChoice {
  std::array<uint8_t, SYSCALL_NUMBERS> treatment{};  // SYSCALL_* bits by number
  std::vector<std::string> names;                    // chosen ones; empty: all
};

// kInvalidArgument names the call that does not exist.
Result<SyscallChoice> ReadSyscallChoice(const v1::SyscallsProbeConfig& config);

}  // namespace faultline
