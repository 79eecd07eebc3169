#include "agent/probes/ring_reader.h"

#include <bpf/libbpf.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>

namespace faultline {

Result<std::unique_ptr<RingReader>> RingReader::Open(int map_fd, Take take) {
  std::unique_ptr<RingReader> reader(new RingReader());
  reader->take_ = std::move(take);
  reader->ring_ = ring_buffer__new(map_fd, OnRecord, reader.get(), nullptr);
  if (reader->ring_ == nullptr) return FailErrno(errno, "map a BPF ring buffer");
  // As linux/bpf.h has it: a page with what was consumed, and one with what was produced.
  const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  void* const consumed = mmap(nullptr, page, PROT_READ, MAP_SHARED, map_fd, 0);
  void* const produced =
      mmap(nullptr, page, PROT_READ, MAP_SHARED, map_fd, static_cast<off_t>(page));
  if (consumed != MAP_FAILED) reader->consumed_ = static_cast<const uint64_t*>(consumed);
  if (produced != MAP_FAILED) reader->produced_ = static_cast<const uint64_t*>(produced);
  return reader;
}

RingReader::~RingReader() {
  const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  for (const volatile uint64_t* position : {consumed_, produced_}) {
    if (position != nullptr) munmap(const_cast<uint64_t*>(position), page);
  }
  ring_buffer__free(ring_);
}

uint64_t RingReader::held() const {
  return consumed_ == nullptr || produced_ == nullptr ? 0 : *produced_ - *consumed_;
}

int RingReader::OnRecord(void* self, void* record, size_t bytes) {
  static_cast<RingReader*>(self)->take_(record, bytes);
  return 0;
}

int RingReader::wake_fd() const { return ring_buffer__epoll_fd(ring_); }

Result<void> RingReader::Consume() {
  // Polling without waiting also takes the readiness off the descriptor; consuming then takes what
  // woke nobody.
  ring_buffer__poll(ring_, 0);
  const int taken = ring_buffer__consume(ring_);
  if (taken < 0) return FailErrno(-taken, "read a BPF ring buffer");
  return {};
}

}  // namespace faultline
