// System calls that took longer than the threshold, as spans: what was asked of which file or peer,
// by whom, and what came of it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "agent/containers/container_index.h"
#include "agent/probes/attributes.h"
#include "agent/probes/probe_books.h"
#include "agent/probes/ring_reader.h"
#include "bpf/syscalls.h"
#include "common/emitter.h"
#include "common/host_view.h"

namespace faultline {

class SlowCalls {
 public:
  static constexpr uint64_t kMaxPerSecond = 100;

  // Everything outlives it. `with_streams`: reads of sockets, pipes and devices count as slow too.
  SlowCalls(const HostView& host, ContainerIndex& index, ProbeBooks& books, bool with_streams);
  Result<void> Open(int ring_fd);
  int wake_fd() const { return ring_->wake_fd(); }
  Result<void> Consume(Emitter& out);

  // The path of the file as far as the kernel told it: `…/folder/name`.
  static std::string PathOf(const slow_record& record);
  // `address:port`, empty if it is no connected socket.
  static std::string PeerOf(const slow_record& record);

 private:
  void Deliver(const slow_record& record);
  std::string Target(const slow_record& record) const;

  const HostView& host_;
  ContainerIndex& index_;
  ProbeBooks& books_;
  const bool with_streams_;
  std::unique_ptr<RingReader> ring_;
  SpanIds ids_;
  Emitter* out_ = nullptr;  // during Consume
  int64_t second_began_ns_ = 0;
  uint64_t in_second_ = 0;
};

}  // namespace faultline
