// Work in a network namespace: on a thread of its own that enters it, so that the caller stays
// where it is. A namespace is named by a file that stands for it: /proc/PID/ns/net,
// /run/netns/NAME; empty is the caller's own.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "common/host_view.h"
#include "common/result.h"

namespace faultline {

// kNotFound when the namespace is gone.
Result<void> InNetworkNamespace(const std::string& file, const std::function<Result<void>()>& work);
// The file of a target's namespace: that of the process; "" when it is the caller's own.
std::string NetworkNamespaceOf(const HostView& host, uint32_t pid);
// One file for each network namespace that has a process or a name; the caller's own comes first.
std::vector<std::string> NetworkNamespaces(const HostView& host);
// Inode number, the same for all files that mean one namespace; 0: gone.
uint64_t NetworkNamespaceId(const std::string& file);

}  // namespace faultline
