#include "agent/probes/tcp_edges.h"

#include <bpf/bpf.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>

#include "agent/probes/addresses.h"
#include "agent/probes/series_owner.h"

namespace faultline {
namespace {

struct Column {
  size_t offset;
  MetricFamily family;
  double scale = 1;
};
constexpr MetricFamily Total(std::string_view name, std::string_view help) {
  return {name, v1::METRIC_TYPE_COUNTER, help};
}
constexpr Column kColumns[] = {
    {offsetof(tcp_edge, connections),
     Total("container_tcp_peer_connections_total",
           "Connections opened between the container and a peer.")},
    {offsetof(tcp_edge, failures),
     Total("container_tcp_peer_failures_total", "Connections to a peer that were tried in vain.")},
    {offsetof(tcp_edge, closes),
     Total("container_tcp_peer_closes_total", "Connections with a peer that ended.")},
    {offsetof(tcp_edge, sent_bytes),
     Total("container_tcp_peer_sent_bytes_total", "Bytes sent in connections that ended.")},
    {offsetof(tcp_edge, received_bytes),
     Total("container_tcp_peer_received_bytes_total", "Bytes received in connections that ended.")},
    {offsetof(tcp_edge, retransmits), Total("container_tcp_peer_retransmits_total",
                                            "Segments sent again in connections that ended.")},
    {offsetof(tcp_edge, resets),
     Total("container_tcp_peer_resets_total", "Connections that the peer reset.")},
    {offsetof(tcp_edge, connect_ns),
     Total("container_tcp_peer_connect_seconds_total",
           "Time that connections to a peer took to open."),
     1e-9},
    {offsetof(tcp_edge, rtt_ns),
     Total("container_tcp_peer_rtt_seconds_total",
           "Smoothed round trip times at the end of connections, summed up."),
     1e-9},
    {offsetof(tcp_edge, lifetime_ns),
     Total("container_tcp_peer_lifetime_seconds_total", "Time that ended connections were open."),
     1e-9},
};
constexpr std::string_view kOther = "other";

}  // namespace

bool TcpEdges::KeyLess::operator()(const tcp_edge_key& a, const tcp_edge_key& b) const {
  return std::memcmp(&a, &b, sizeof a) < 0;
}

TcpEdges::TcpEdges(const bpf_map* edges, const bpf_map* services, ContainerIndex& index)
    : index_(index),
      services_fd_(bpf_map__fd(services)),
      edges_(bpf_map__fd(edges), sizeof(tcp_edge_key), sizeof(tcp_edge)),
      owners_(index) {}

TcpEdges::Peer TcpEdges::PeerOf(const tcp_edge_key& key) {
  Peer peer{.direction = key.direction};
  peer.address = key.place.port != 0 ? AddressText(AF_INET6, 0, key.place.address, key.place.port)
                                     : HostText(AF_INET6, 0, key.place.address);
  uint64_t cgroup = key.peer_cgroup;
  if (key.direction == TCP_TO_PEER) bpf_map_lookup_elem(services_fd_, &key.place, &cgroup);
  if (cgroup == 0) return peer;
  const KernelOwner owner = index_.ResolveKernelKey(cgroup);
  if (owner.container == nullptr) return peer;
  peer.name_space = owner.container->name_space;
  peer.pod = owner.container->pod;
  peer.container = owner.container->container;
  return peer;
}

TcpEdges::Words& TcpEdges::RowOf(std::string_view owner, Peer&& peer) {
  std::map<Peer, Words>& row = rows_[std::string(owner)];
  const auto found = row.find(peer);
  if (found != row.end()) return found->second;
  const auto named = std::count_if(
      row.begin(), row.end(), [&](const auto& entry) { return entry.first.address != kOther; });
  if (static_cast<size_t>(named) >= kMaxPeers)
    peer = {.direction = peer.direction, .address = std::string(kOther)};
  return row[std::move(peer)];
}

Result<void> TcpEdges::Read(uint64_t& pending, ProbeBooks& books) {
  using Standing = OwnerDirectory::Standing;
  owners_.BeginPass();
  std::erase_if(rows_, [&](const auto& entry) {
    const ContainerIdentity* owner = index_.Resolve(Origin{.cgroup_path = entry.first});
    return entry.first != "/" && (owner == nullptr || owner->cgroup_path != entry.first);
  });
  std::vector<tcp_edge_key> finished;
  FAULTLINE_TRY(edges_.ForEach([&](const void* raw_key, const std::byte* raw) {
    tcp_edge_key key;
    std::memcpy(&key, raw_key, sizeof key);
    Words sum{};
    for (int cpu = 0; cpu < edges_.cpus(); ++cpu) {
      Words part;
      std::memcpy(part.data(), raw + static_cast<size_t>(cpu) * edges_.stride(), sizeof part);
      for (size_t i = 0; i < kWords; ++i) sum[i] += part[i];
    }
    const OwnerDirectory::Owner owner = owners_.Of(key.cgroup);
    if (owner.standing == Standing::kUnknown) {
      pending += sum[0];
      return;
    }
    if (owner.standing != Standing::kAlive) finished.push_back(key);
    if (owner.standing == Standing::kGivenUp) return books.Dropped("unattributed", sum[0]);
    Words& last = last_[key];
    if (sum[0] == last[0]) return;
    books.Delivered(sum[0] - last[0]);
    Words& row = RowOf(owner.path, PeerOf(key));
    for (size_t i = 0; i < kWords; ++i) row[i] += sum[i] - last[i];
    last = sum;
  }));
  for (const tcp_edge_key& key : finished) {
    edges_.Delete(&key);
    last_.erase(key);
  }
  return {};
}

void TcpEdges::Emit(Emitter& out) const {
  for (const auto& [path, peers] : rows_) {
    for (const auto& [peer, words] : peers) {
      const LabelView labels[] = {{"direction", peer.direction == TCP_TO_PEER ? "to" : "from"},
                                  {"peer", peer.address},
                                  {"peer_namespace", peer.name_space},
                                  {"peer_pod", peer.pod},
                                  {"peer_container", peer.container}};
      for (const Column& column : kColumns) {
        SampleOfOwner(path, column.family, labels,
                      static_cast<double>(words[column.offset / 8]) * column.scale, out);
      }
    }
  }
}

}  // namespace faultline
