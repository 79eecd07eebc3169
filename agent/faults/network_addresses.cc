#include "agent/faults/network_addresses.h"

#include <algorithm>

#include "agent/faults/network_namespace.h"
#include "common/text.h"

namespace faultline {

constexpr size_t kMaxAddresses = 64;

std::vector<std::string> LocalAddresses(std::string_view fib_trie) {
  std::vector<std::string> addresses;
  std::string_view line;
  std::string last;
  while (NextLine(fib_trie, line) && addresses.size() < kMaxAddresses) {
    line = Trim(line);
    if (line.starts_with("|-- ")) last = std::string(Trim(line.substr(4)));
    const bool local =
        line.starts_with("/32 host LOCAL") && !last.empty() && !last.starts_with("127.");
    // Both tables of the file list it.
    if (local && std::find(addresses.begin(), addresses.end(), last) == addresses.end())
      addresses.push_back(last);
  }
  return addresses;
}

std::vector<std::string> AddressesOfProcess(const HostView& host, uint32_t pid) {
  if (NetworkNamespaceOf(host, pid).empty()) return {};
  const auto text = host.fs.Read(fmt::format("/proc/{}/net/fib_trie", pid));
  std::vector<std::string> addresses = text ? LocalAddresses(*text) : std::vector<std::string>();
  const auto six = host.fs.Read(fmt::format("/proc/{}/net/if_inet6", pid));
  if (!six) return addresses;
  std::string_view rest = *six;
  std::string_view line;
  while (NextLine(rest, line) && addresses.size() < kMaxAddresses) {
    const std::string_view hex = NextWord(line);
    NextWord(line);
    NextWord(line);
    if (hex.size() != 32 || NextWord(line) != "00") continue;  // global scope only
    std::string address;
    for (size_t i = 0; i < 32; i += 4)
      address += (i == 0 ? "" : ":") + std::string(hex.substr(i, 4));
    addresses.push_back(std::move(address));
  }
  return addresses;
}

}  // namespace faultline
