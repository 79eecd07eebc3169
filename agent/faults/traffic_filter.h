// Our classifier on a device of the calling thread's network namespace (bpf/network_fault.bpf.c).
// A filter carries the fault's handle, so that it is found again by whoever recovers, in any
// process; its place among other faults is found when it is attached. One qdisc, clsact, is made
// where it is missing and goes with our last filter.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bpf/network_fault.h"
#include "common/result.h"

namespace faultline {

struct RemoteAddress {
  std::array<uint8_t, 16> address{};  // IPv4 as ::ffff:a.b.c.d
  unsigned prefix_bits = 128;
  uint16_t port = 0;  // 0: any
  bool operator==(const RemoteAddress&) const = default;
};

struct TrafficFilter {
  network_fault_config config{};
  std::vector<RemoteAddress> remotes;
};

// The same for every filter of one fault; never 0. The upper twelve bits say whose it is: those of
// the agent whose journal is in `home`.
uint32_t FilterHandle(std::string_view home, std::string_view fault_uid);
constexpr uint32_t kHomeOfHandle = 0xfff00000;

// Attaches it behind the filters of earlier faults. When config.detour_ifindex is set the way back
// is attached to that device; the number behind the pointer says until when (monotonic clock, ns)
// that detour is fed: keep it ahead of now, or packets go straight on. It may be let go at any
// time.
Result<std::shared_ptr<uint64_t>> AttachFilter(unsigned ifindex, bool egress, uint32_t handle,
                                               TrafficFilter filter);

// Removes the fault's filters of both directions; fine when there are none. clsact goes too if
// `remove_qdisc` and nothing is left in it.
Result<void> DetachFilters(unsigned ifindex, uint32_t handle, bool remove_qdisc);
bool HasFilter(unsigned ifindex, uint32_t handle);
// The handles of our filters on the device, of whatever agent.
std::vector<uint32_t> OurHandles(unsigned ifindex);
// Summed over both directions; nullopt when it is not attached.
std::optional<network_fault_counts> ReadFilterCounts(unsigned ifindex, uint32_t handle);

// Is clsact there, and is it somebody else's (there before us, or with filters that are not ours)?
enum class ClsactState { kAbsent, kOurs, kForeign };
ClsactState ReadClsact(unsigned ifindex);

}  // namespace faultline
