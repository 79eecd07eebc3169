// Names of system calls and errnos of this architecture.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace faultline {

// `syscall_999` for a number that the headers of the build did not know.
std::string SyscallName(uint32_t number);
std::optional<uint32_t> SyscallNumber(std::string_view name);
// `ENOENT`; `errno_999` for one that nobody knows. Knows the kernel's own restart codes too.
std::string ErrnoName(uint32_t error_number);

}  // namespace faultline
