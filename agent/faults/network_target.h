// The network namespace of a fault's target: whose it is, what devices are in it, and work done
// inside it. A namespace is remembered by its inode and found again through any process or mount
// that still holds it; when nobody does, it is gone and so is all that was in it.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "agent/faults/fault.h"
#include "common/result.h"

namespace faultline {

struct NetNamespace {
  uint64_t inode = 0;
  std::string file;            // stands for it; empty: our own
  uint32_t pid = 0;            // somebody who lives in it
  bool is_node = false;        // it is the node's own
  std::string cgroup;          // v2 folder of a target that shares the node's namespace; else empty
  std::vector<uint32_t> pids;  // processes of the target; empty for the node
};

// Whoever lives in the target now; empty for the node. Errors as TargetCgroup, and kNotFound when
// nobody does.
Result<std::vector<uint32_t>> TargetPids(const v1::Subject& target, const FaultHost& host);

// kNotFound, kInvalidArgument as TargetCgroup says; kNotFound when the target has no process.
Result<NetNamespace> TargetNamespace(const v1::Subject& target, const FaultHost& host);
// Runs `work` inside the namespace of that inode, wherever it is still held; kNotFound when it is
// gone.
Result<void> InNamespace(uint64_t inode, const FaultHost& host,
                         const std::function<Result<void>()>& work);

struct NetDevice {
  std::string name;
  unsigned index = 0;
  bool is_up = false;
  bool is_loopback = false;
  bool has_ethernet_header = false;  // loopback devices have one too
  std::array<uint8_t, 6> mac{};
};
// Of the calling thread's namespace.
std::vector<NetDevice> ListDevices();
// Device of the default route, IPv4 then IPv6; empty when there is none.
std::string DefaultRouteDevice();
Result<void> SetDeviceUp(const std::string& name, bool up);

}  // namespace faultline
