// Who calls whom over TCP: one row per container, direction and peer, read from the kernel once a
// pass. Bounded: an owner shows kMaxPeers peers by name, the others together as "other".
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>

#include "agent/probes/bpf_program.h"
#include "agent/probes/owner_directory.h"
#include "agent/probes/probe_books.h"
#include "bpf/tcp.h"
#include "common/emitter.h"

namespace faultline {

class TcpEdges {
 public:
  static constexpr size_t kMaxPeers = 32;

  TcpEdges(const bpf_map* edges, const bpf_map* services, ContainerIndex& index);
  // Books what was delivered and what is pending on top of what `pending` is already.
  Result<void> Read(uint64_t& pending, ProbeBooks& books);
  void Emit(Emitter& out) const;

 private:
  static constexpr size_t kWords = sizeof(tcp_edge) / sizeof(uint64_t);
  using Words = std::array<uint64_t, kWords>;
  struct KeyLess {
    bool operator()(const tcp_edge_key& a, const tcp_edge_key& b) const;
  };
  struct Peer {
    uint32_t direction = 0;
    std::string address;  // `other` for those without a row of their own
    std::string name_space, pod, container;
    auto operator<=>(const Peer&) const = default;
  };
  Peer PeerOf(const tcp_edge_key& key);
  Words& RowOf(std::string_view owner, Peer&& peer);

  ContainerIndex& index_;
  const int services_fd_;
  PercpuHash edges_;
  OwnerDirectory owners_;
  std::map<tcp_edge_key, Words, KeyLess> last_;
  std::map<std::string, std::map<Peer, Words>, std::less<>> rows_;  // by path of the owner
};

}  // namespace faultline
