// What a network fault was asked to do, read from its parameters (Chaos Mesh's names inside each
// action, chaosd's for its own), and the rows that declare them.
#pragma once

#include <array>
#include <string>
#include <vector>

#include "agent/faults/fault.h"
#include "agent/faults/network_target.h"
#include "agent/faults/traffic_filter.h"

namespace faultline {

struct Chance {
  double percent = 0;
  double correlation_percent = 0;
};

struct NetworkAsked {
  // Whose packets.
  std::vector<std::string> devices;  // empty: all that are up, without loopback
  bool to = true;
  bool from = false;
  std::vector<RemoteAddress> remotes;
  unsigned protocol = 0;
  std::vector<network_fault_ports> local_ports;
  std::vector<network_fault_ports> remote_ports;
  unsigned accept_flags_mask = 0;
  unsigned accept_flags_value = 0;
  // What happens to them.
  int64_t latency_ns = 0;
  int64_t jitter_ns = 0;
  double delay_correlation_percent = 0;
  Chance reorder;
  int64_t reorder_gap = 0;
  Chance loss, duplicate, corrupt;
  bool partition = false;
  double rate_bytes_per_s = 0;  // 0: as fast as it goes
  double limit_bytes = 0;       // what may wait
  double buffer_bytes = 0;      // what may pass at once
  double peak_bytes_per_s = 0;  // how fast that much passes; 0: at once
  double min_burst_bytes = 0;   // what may pass at once even so; at least a packet
  bool answers_dns = false;

  bool NeedsDetour() const {
    return latency_ns > 0 || jitter_ns > 0 || rate_bytes_per_s > 0 || answers_dns;
  }
  bool HasPortFilter() const { return !local_ports.empty() || !remote_ports.empty(); }
  bool HasFilter() const { return HasPortFilter() || !remotes.empty() || protocol != 0; }
};

// Resolves host names: may ask the resolver of this node.
Result<NetworkAsked> ReadNetworkAsked(const FaultSpec& spec);
// The same as it was planned: names are not resolved again.
Result<NetworkAsked> PlannedAsked(const FaultPlan& plan);
// plan.state of a network fault: netns (inode), devices, remotes, cgroup (id and level).
void RememberRemotes(const NetworkAsked& asked, FaultPlan& plan);
void RememberDevices(const std::vector<NetDevice>& devices, FaultPlan& plan);
std::vector<NetDevice> PlannedDevices(const FaultPlan& plan);
// As the classifier of that device has it.
TrafficFilter PlannedFilter(const FaultPlan& plan, const NetworkAsked& asked,
                            const NetDevice& device);

// For people: "delay 100 ms ± 10 ms, loss 5 %, to 10.0.0.1".
std::string Describe(const NetworkAsked& asked);

// An address or prefix with an optional port: 1.1.1.1, 10.0.0.0/8:22, [fd00::1]:80.
Result<RemoteAddress> ParseRemote(std::string_view text);
std::string FormatRemote(const RemoteAddress& remote);

// The rows of an action with those of whose packets.
constexpr ParameterRow kWhoseRows[] = {
    {"device", ParameterKind::kList, {}, "devices; all of the target that are up unless given"},
    {"direction", ParameterKind::kChoice, "to", "packets to, from, or both, seen from the target",
     false, 0, 0, "to from both"},
    {"externalTargets", ParameterKind::kList, {}, "only these: address, prefix or name, :port"},
    {"targets", ParameterKind::kList, {}, "addresses of the other side's pods or nodes"},
    {"ip-address", ParameterKind::kList, {}, "only these addresses or prefixes"},
    {"hostname", ParameterKind::kText, {}, "only the addresses of this name"},
    {"ip-protocol", ParameterKind::kChoice, "all", "tcp, udp, icmp or all", false, 0, 0,
     "tcp udp icmp all"},
    {"source-port", ParameterKind::kList, {}, "the target's ports: 80, 8000:8080"},
    {"egress-port", ParameterKind::kList, {}, "the other side's ports: 80, 8000:8080"},
};

template <size_t N>
constexpr std::array<ParameterRow, N + std::size(kWhoseRows)> WithWhose(
    const ParameterRow (&rows)[N]) {
  std::array<ParameterRow, N + std::size(kWhoseRows)> all{};
  for (size_t i = 0; i < N; ++i) all[i] = rows[i];
  for (size_t i = 0; i < std::size(kWhoseRows); ++i) all[N + i] = kWhoseRows[i];
  return all;
}

}  // namespace faultline
