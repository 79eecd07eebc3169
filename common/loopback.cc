#include "common/loopback.h"

#include <arpa/inet.h>

#include <string>

namespace faultline {

bool IsLoopbackHost(std::string_view host) {
  in_addr address{};
  if (inet_pton(AF_INET, std::string(host).c_str(), &address) == 1)
    return ntohl(address.s_addr) >> 24 == 127;
  return host == "localhost" || host == "::1";
}

bool IsLoopback(std::string_view authority) {
  if (!authority.starts_with('[')) return IsLoopbackHost(authority.substr(0, authority.find(':')));
  const size_t end = authority.find(']');
  return end != std::string_view::npos && IsLoopbackHost(authority.substr(1, end - 1));
}

}  // namespace faultline
