// The user's end of a BPF ring buffer, for rare records.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>

#include "common/result.h"

struct ring_buffer;

namespace faultline {

class RingReader {
 public:
  using Take = std::function<void(const void* record, size_t bytes)>;
  static Result<std::unique_ptr<RingReader>> Open(int map_fd, Take take);
  ~RingReader();
  RingReader(const RingReader&) = delete;
  RingReader& operator=(const RingReader&) = delete;

  // Readable when the kernel side wakes.
  int wake_fd() const;
  // Bytes that wait in it.
  uint64_t held() const;
  // Hands out all that is there now.
  Result<void> Consume();

 private:
  RingReader() = default;
  static int OnRecord(void* self, void* record, size_t bytes);

  ring_buffer* ring_ = nullptr;
  const volatile uint64_t* consumed_ = nullptr;  // the kernel's own two positions
  const volatile uint64_t* produced_ = nullptr;
  Take take_;
};

}  // namespace faultline
