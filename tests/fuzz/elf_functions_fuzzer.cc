// A file of any bytes that a process may have mapped: its functions are looked for within bounds,
// and there are as many names as places.
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>

#include "agent/probes/elf_functions.h"
#include "agent/probes/stack_names.h"
#include "common/assert.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  if (size > (64 << 10)) return 0;
  const int fd = memfd_create("elf", MFD_CLOEXEC);
  FAULTLINE_ASSERT(write(fd, bytes, size) == static_cast<ssize_t>(size), "memory can be written");
  const std::vector<uint64_t> offsets = {0, 64, 0x1040, 0x1140, size, UINT64_MAX};
  const auto names = faultline::FunctionsAt(fd, offsets);
  if (names) FAULTLINE_ASSERT(names->size() == offsets.size(), "a name each");
  close(fd);
  const std::string_view text(reinterpret_cast<const char*>(bytes), size);
  for (const auto& file : faultline::ReadableMaps(text))
    FAULTLINE_ASSERT(!file.device.empty(), "of some device");
  return 0;
}
