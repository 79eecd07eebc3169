#include "agent/probes/addresses.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <sys/socket.h>

#include <cstring>

namespace faultline {

std::string HostText(uint16_t family, uint32_t address4, const uint8_t* address6) {
  char text[INET6_ADDRSTRLEN];
  if (family == AF_INET6) {
    in6_addr address;
    std::memcpy(&address, address6, sizeof address);
    if (!IN6_IS_ADDR_V4MAPPED(&address))
      return inet_ntop(AF_INET6, &address, text, sizeof text) == nullptr ? "" : text;
    std::memcpy(&address4, address6 + 12, sizeof address4);
  } else if (family != AF_INET) {
    return "";
  }
  return inet_ntop(AF_INET, &address4, text, sizeof text) == nullptr ? "" : text;
}

std::string AddressText(uint16_t family, uint32_t address4, const uint8_t* address6,
                        uint16_t port) {
  const std::string host = HostText(family, address4, address6);
  if (host.empty()) return "";
  return host.find(':') == std::string::npos ? fmt::format("{}:{}", host, port)
                                             : fmt::format("[{}]:{}", host, port);
}

}  // namespace faultline
