#include "agent/logs/gzip_reader.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace faultline {
namespace {

constexpr size_t kInputBytes = 64 << 10;
constexpr size_t kStepBytes = 256 << 10;
constexpr int kGzipWindowBits = 15 + 16;

}  // namespace

GzipReader::GzipReader(int fd) : fd_(fd) {
  // The last four bytes are the size of the text, little-endian.
  struct stat status{};
  uint8_t tail[4];
  if (fstat(fd, &status) == 0 && status.st_size > 18 &&
      pread(fd, tail, sizeof tail, status.st_size - 4) == sizeof tail) {
    for (int i = 3; i >= 0; --i) size_ = size_ << 8 | tail[i];
  }
}

GzipReader::~GzipReader() {
  if (begun_) inflateEnd(&stream_);
}

bool GzipReader::Restart() {
  if (begun_) inflateEnd(&stream_);
  stream_ = {};
  begun_ = inflateInit2(&stream_, kGzipWindowBits) == Z_OK;
  ended_ = damaged_ = false;
  file_offset_ = 0;
  window_.clear();
  window_begin_ = 0;
  return begun_;
}

bool GzipReader::Refill() {
  input_.resize(kInputBytes);
  ssize_t n = 0;
  do {
    n = pread(fd_, input_.data(), input_.size(), file_offset_);
  } while (n < 0 && errno == EINTR);
  if (n <= 0) return false;
  file_offset_ += n;
  stream_.next_in = reinterpret_cast<Bytef*>(input_.data());
  stream_.avail_in = static_cast<uInt>(n);
  return true;
}

bool GzipReader::Decode(size_t bytes) {
  const size_t before = window_.size();
  window_.resize(before + bytes);
  stream_.next_out = reinterpret_cast<Bytef*>(window_.data() + before);
  stream_.avail_out = static_cast<uInt>(bytes);
  while (stream_.avail_out > 0 && !ended_ && !damaged_) {
    if (stream_.avail_in == 0 && !Refill()) {
      damaged_ = true;  // cut off
      break;
    }
    const int status = inflate(&stream_, Z_NO_FLUSH);
    if (status == Z_STREAM_END) {
      // Members may follow each other.
      ended_ = (stream_.avail_in == 0 && !Refill()) || inflateReset(&stream_) != Z_OK;
    } else if (status != Z_OK && status != Z_BUF_ERROR) {
      damaged_ = true;
    }
  }
  window_.resize(window_.size() - stream_.avail_out);
  const uint64_t decoded = window_begin_ + window_.size();
  size_ = ended_ || damaged_ ? decoded : std::max(size_, decoded);
  return !ended_ && !damaged_;
}

ssize_t GzipReader::ReadAt(char* into, size_t bytes, uint64_t offset) {
  if ((!begun_ || offset < window_begin_) && !Restart()) {
    errno = ENOMEM;
    return -1;
  }
  // What is before the slice is let go, also what has to be passed over.
  while (true) {
    const uint64_t behind = std::min<uint64_t>(offset - window_begin_, window_.size());
    window_.erase(0, behind);
    window_begin_ += behind;
    const uint64_t end = window_begin_ + window_.size();
    if (end >= offset + bytes || ended_ || damaged_) break;
    if (!Decode(std::min<uint64_t>(offset + bytes - end, kStepBytes))) continue;
  }
  const size_t from = offset - window_begin_;
  const size_t n = from < window_.size() ? std::min(bytes, window_.size() - from) : 0;
  if (n == 0 && damaged_ && bytes > 0) {
    errno = EIO;
    return -1;
  }
  std::memcpy(into, window_.data() + (n > 0 ? from : 0), n);
  return static_cast<ssize_t>(n);
}

}  // namespace faultline
