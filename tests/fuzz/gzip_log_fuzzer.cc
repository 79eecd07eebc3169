// A compressed log of any bytes, read in slices that step back a little as LogFile does: it ends, never gives more than asked
// for, and what it gives does not depend on how it is sliced.
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <string>

#include "agent/logs/gzip_reader.h"
#include "common/assert.h"

namespace {

constexpr uint64_t kMaxText = 4 << 20;

std::string ReadAll(int fd, size_t slice, size_t back) {
  faultline::GzipReader reader(fd);
  std::string text, piece(slice + back, '\0');
  while (text.size() < kMaxText) {
    const uint64_t from = text.size() - std::min<uint64_t>(back, text.size());
    const ssize_t n = reader.ReadAt(piece.data(), piece.size(), from);
    FAULTLINE_ASSERT(n <= static_cast<ssize_t>(piece.size()), "no more than asked for");
    if (n < 0 || from + static_cast<uint64_t>(n) <= text.size()) break;
    FAULTLINE_ASSERT(text.compare(from, std::string::npos, piece, 0, text.size() - from) == 0, "the same bytes again");
    text.append(piece, text.size() - from, static_cast<size_t>(n) - (text.size() - from));
  }
  FAULTLINE_ASSERT(reader.size() >= std::min<uint64_t>(text.size(), kMaxText) || text.size() >= kMaxText, "the size covers the text");
  return text;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  if (size > (64 << 10)) return 0;
  const int fd = memfd_create("gzip", MFD_CLOEXEC);
  FAULTLINE_ASSERT(write(fd, bytes, size) == static_cast<ssize_t>(size), "memory can be written");
  const std::string one = ReadAll(fd, 100'000, 0), other = ReadAll(fd, 777, 64);
  const size_t both = std::min(one.size(), other.size());
  FAULTLINE_ASSERT(one.compare(0, both, other, 0, both) == 0, "slicing changes nothing");
  close(fd);
  return 0;
}
