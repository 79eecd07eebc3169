// The functions of an ELF file by place in the file, from its symbol tables (.symtab, else .dynsym).
// Reads what it needs and keeps nothing; the file may be anybody's, so every size is bounded. Blocks
// on the disk: not for the agent's thread.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/result.h"

namespace faultline {

// The name of the function at each of `offsets` (sorted, without repetitions), empty where none is
// known. 64-bit files of this machine's byte order.
Result<std::vector<std::string>> FunctionsAt(int file, const std::vector<uint64_t>& offsets);

// As people write it: C++ and older Rust names are unmangled.
std::string ReadableName(std::string name);

}  // namespace faultline
