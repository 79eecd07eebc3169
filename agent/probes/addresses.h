// Network addresses as the kernel keeps them, as text.
#pragma once

#include <cstdint>
#include <string>

namespace faultline {

// `10.0.0.1` or `fe80::1`; an IPv4 address within IPv6 is shown as IPv4. Empty for another family.
std::string HostText(uint16_t family, uint32_t address4, const uint8_t* address6);
// With the port, as `10.0.0.1:80` or `[fe80::1]:80`.
std::string AddressText(uint16_t family, uint32_t address4, const uint8_t* address6, uint16_t port);

}  // namespace faultline
