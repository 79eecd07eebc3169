// Names of system calls and errnos of this architecture.
#pragma once

#include <cstdint>
#include <string>

namespace faultline {

// `syscall_999` for a number that the headers of the build did not know.
std::string SyscallName(uint32_t number);
// `ENOENT`; `errno_999` for one that nobody knows. Knows the kernel's own restart codes too.
std::string ErrnoName(uint32_t error_number);

}  // namespace faultline
