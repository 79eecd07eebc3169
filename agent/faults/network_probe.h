// What a network does to packets, measured by sockets of our own in the calling thread's network
// namespace: echo requests, connections, questions to a resolver. Knows nothing of how a fault is
// injected.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "agent/faults/dns_answer.h"
#include "agent/faults/traffic_filter.h"
#include "common/result.h"

namespace faultline {

struct ProbeAsked {
  RemoteAddress peer;
  uint16_t port = 0;  // 0: echo requests; else TCP connections to it
  int count = 20;
  int64_t interval_us = 20'000;
  int64_t wait_ms = 300;  // after the last one was sent
  size_t payload_bytes = 56;
};

struct ProbeResult {
  int sent = 0;
  int answered = 0;    // at least once; a refused connection is an answer
  int duplicates = 0;  // answered again
  int reordered = 0;   // answered before an earlier one
  double median_ms = 0;
  double mean_ms = 0;
  // Of what came back, on the wire, once `skip_bytes` of it had come.
  double bytes_per_s = 0;
  double LostPercent() const { return sent == 0 ? 0 : 100.0 * (sent - answered) / sent; }
  double DuplicatePercent() const { return answered == 0 ? 0 : 100.0 * duplicates / answered; }
};

Result<ProbeResult> Probe(const ProbeAsked& asked, double skip_bytes = 0);

// Asks `server` (port 53, UDP); nullopt: no answer in time.
std::optional<DnsReply> AskResolver(const RemoteAddress& server, std::string_view name,
                                    unsigned type, int64_t timeout_ms);

// Somebody who may answer: the first single address of `wanted`, else a neighbour in one of its
// prefixes, else (nothing wanted) the default gateway or a neighbour.
std::optional<RemoteAddress> FindPeer(const std::vector<RemoteAddress>& wanted);

// The kernel has heard of it on a device here (IPv4).
bool IsNeighbour(const RemoteAddress& remote);

}  // namespace faultline
