// Requests as spans, with the container of either side. At most so many a second; those that ask
// for it in their traceparent have as much room again.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "agent/containers/container_index.h"
#include "agent/probes/attributes.h"
#include "agent/probes/dns_question.h"
#include "agent/probes/http_head.h"
#include "agent/probes/request_series.h"
#include "bpf/requests.h"
#include "common/emitter.h"
#include "common/host_view.h"

namespace faultline {

class RequestSpans {
 public:
  // 0: without a limit.
  RequestSpans(const HostView& host, ContainerIndex& index, uint32_t max_per_second);
  void BeginPass();
  void Http(const request_begin& begin, const HttpHead& head, const RequestPeer& peer, Emitter& out);
  void Dns(const request_begin& begin, std::string_view query, Emitter& out);
  // How many spans were made and how many had no room.
  void Emit(Emitter& out) const;

  // Of the owner: a listed cgroup, or "/".
  std::string PathOfKey(uint64_t cgroup);
  std::string OwnerPath(const request_begin& begin) { return PathOfKey(begin.cgroup); }
  RequestPeer PeerOf(const request_begin& begin);

 private:
  bool HasRoom(bool is_sampled);
  v1::Span& Begin(const request_begin& begin, int kind);
  void Send(const request_begin& begin, v1::Span&& span, Emitter& out);

  const HostView& host_;
  ContainerIndex& index_;
  const uint32_t max_per_second_;
  SpanIds ids_;
  v1::Span span_;  // the one that is made now: what it has allocated serves the next
  int64_t to_unix_ns_ = 0;  // from the steady clock, in this pass
  int64_t second_began_ns_ = 0;
  uint32_t in_second_[2] = {};  // others, sampled
  uint64_t made_ = 0;
  uint64_t without_room_ = 0;
};

}  // namespace faultline
