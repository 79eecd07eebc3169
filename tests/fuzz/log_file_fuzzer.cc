// A log file that does anything: appends, truncations, rewrites and restarts, as the input says, read in small slices. No
// byte sequence may crash it, an offset is handed over once per identity, and reading always ends.
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <map>
#include <memory>
#include <string>
#include <sys/mman.h>

#include "agent/logs/log_file.h"
#include "common/assert.h"

namespace {

struct Play {
  int fd = memfd_create("log", MFD_CLOEXEC);
  std::map<uint64_t, uint64_t> positions;
  std::unique_ptr<faultline::LogFile> file;
  std::string scratch;

  Play() = default;
  Play(const Play&) = delete;
  Play& operator=(const Play&) = delete;
  ~Play() { close(fd); }

  void Start(std::string_view parser) {
    faultline::OpenedLog opened{.fd = faultline::FileDescriptor(dup(fd)), .key = {.device = 1, .inode = 2}};
    opened.size = static_cast<uint64_t>(lseek(fd, 0, SEEK_END));
    file = std::make_unique<faultline::LogFile>(
        std::move(opened),
        faultline::LogFile::Options{.max_line_bytes = 48, .labels = {{"job", "fuzz"}}, .parser = parser},
        [this](uint64_t id) {
          const auto found = positions.find(id);
          return found == positions.end() ? std::nullopt : std::optional(found->second);
        });
  }

  void Take(faultline::LogSlice&& slice) {
    for (const faultline::LogChunk& chunk : slice.chunks) {
      uint64_t& end = positions[chunk.file_id];
      for (const auto& record : chunk.records) {
        FAULTLINE_ASSERT(record.offset >= end, "an offset is handed over once");
        FAULTLINE_ASSERT(record.offset < chunk.end_offset, "a record lies in its chunk");
      }
      FAULTLINE_ASSERT(chunk.end_offset >= end, "positions grow");
      end = chunk.end_offset;
    }
  }

  void Drain() {
    for (int i = 0; i < 10'000; ++i) {
      auto slice = file->Read(scratch, 32);
      FAULTLINE_ASSERT(slice.has_value(), "memory can be read");
      const bool more = slice->more;
      Take(std::move(*slice));
      if (!more) return;
    }
    FAULTLINE_ASSERT(false, "reading ends");
  }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  if (size == 0 || size > 4096) return 0;
  constexpr std::string_view kParsers[] = {"", "cri", "docker", "plain"};
  const std::string_view parser = kParsers[bytes[0] % 4];
  Play play;
  play.Start(parser);
  size_t at = 1;
  while (at < size) {
    const uint8_t action = bytes[at++];
    const size_t length = std::min<size_t>(action >> 2, size - at);
    switch (action & 3) {
      case 0:
        play.Drain();
        break;
      case 1:
        FAULTLINE_ASSERT(ftruncate(play.fd, static_cast<off_t>(length)) == 0, "memory can be cut");
        play.Drain();
        break;
      case 2:
        play.Start(parser);
        break;
      default:
        lseek(play.fd, 0, SEEK_END);
        FAULTLINE_ASSERT(write(play.fd, bytes + at, length) == static_cast<ssize_t>(length), "memory can be written");
        at += length;
    }
  }
  play.Drain();
  auto last = play.file->Finish(play.scratch);
  FAULTLINE_ASSERT(last.has_value(), "memory can be read");
  play.Take(std::move(*last));
  return 0;
}
