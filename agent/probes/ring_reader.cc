#include "agent/probes/ring_reader.h"

#include <bpf/libbpf.h>

#include <cerrno>

namespace faultline {

Result<std::unique_ptr<RingReader>> RingReader::Open(int map_fd, Take take) {
  std::unique_ptr<RingReader> reader(new RingReader());
  reader->take_ = std::move(take);
  reader->ring_ = ring_buffer__new(map_fd, OnRecord, reader.get(), nullptr);
  if (reader->ring_ == nullptr) return FailErrno(errno, "map a BPF ring buffer");
  return reader;
}

RingReader::~RingReader() { ring_buffer__free(ring_); }

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
