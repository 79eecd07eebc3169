// The addresses that a process answers to, when it lives in a network namespace of its own.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/host_view.h"

namespace faultline {

// Empty when it shares the namespace of the caller.
std::vector<std::string> AddressesOfProcess(const HostView& host, uint32_t pid);
// Local addresses in the text of /proc/PID/net/fib_trie, without loopback.
std::vector<std::string> LocalAddresses(std::string_view fib_trie);

}  // namespace faultline
