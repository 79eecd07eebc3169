// A compressed generation of a log, read as if it were the file: sequentially, in slices that may
// begin again a little before the last one ended. Memory: the last slice and inflate's state.
// Going further back starts over, so that nobody should make a habit of it.
#pragma once

#include <sys/types.h>
#include <zlib.h>

#include <cstdint>
#include <string>

namespace faultline {

class GzipReader {
 public:
  // `fd` outlives the reader. A file that is not compressed reads as an error.
  explicit GzipReader(int fd);
  ~GzipReader();
  GzipReader(const GzipReader&) = delete;
  GzipReader& operator=(const GzipReader&) = delete;

  // As pread(2): fewer bytes at the end, 0 behind it, -1 with EIO when the file is damaged.
  ssize_t ReadAt(char* into, size_t bytes, uint64_t offset);
  // Of the text: what the file says, until its end has been reached.
  uint64_t size() const { return size_; }

 private:
  bool Restart();
  bool Refill();
  // Decodes up to `bytes` onto the window; false when the end or damage has been reached.
  bool Decode(size_t bytes);

  const int fd_;
  z_stream stream_{};
  bool begun_ = false;
  bool ended_ = false;
  bool damaged_ = false;
  uint64_t size_ = 0;
  off_t file_offset_ = 0;
  std::string input_;
  std::string window_;  // text from window_begin_ on
  uint64_t window_begin_ = 0;
};

}  // namespace faultline
