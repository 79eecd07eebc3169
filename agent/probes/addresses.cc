#include "agent/probes/addresses.h"

#include <arpa/inet.h>
#include <sys/socket.h>

#include <cstring>
#include <string>

namespace faultline {

namespace {

// What inet_ntop writes, without its printf: each request asks for some.
std::string DottedText(const uint8_t (&bytes)[4]) {
  std::string text;
  for (const uint8_t byte : bytes) {
    if (!text.empty()) text += '.';
    text += std::to_string(byte);
  }
  return text;
}

}  // namespace

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
  uint8_t bytes[4];
  std::memcpy(bytes, &address4, sizeof bytes);
  return DottedText(bytes);
}

std::string AddressText(uint16_t family, uint32_t address4, const uint8_t* address6,
                        uint16_t port) {
  const std::string host = HostText(family, address4, address6);
  if (host.empty()) return "";
  const bool is_v4 = host.find(':') == std::string::npos;
  return (is_v4 ? host : "[" + host + "]") + ":" + std::to_string(port);
}

}  // namespace faultline
