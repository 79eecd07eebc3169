// The question of a DNS query. Pure; the bytes are strangers'.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace faultline {

struct DnsQuestion {
  std::string name;  // without the last dot; bytes that are no letters of names are shown as ?
  uint16_t type = 0;
};

// `message` is a whole query, or its beginning. nullopt: the question is not all there.
std::optional<DnsQuestion> ParseDnsQuestion(std::string_view message);
// A, AAAA, SRV …; TYPE65 for one without a name here.
std::string DnsTypeName(uint16_t type);
// NOERROR, NXDOMAIN …
std::string DnsCodeName(uint32_t code);

}  // namespace faultline
