#include "agent/probes/dns_question.h"

#include <fmt/format.h>

#include <iterator>

namespace faultline {
namespace {

constexpr size_t kHeadBytes = 12;
constexpr size_t kMaxNameBytes = 253;

struct Named {
  uint32_t number;
  std::string_view name;
};
constexpr Named kTypes[] = {{1, "A"},   {2, "NS"},    {5, "CNAME"},  {6, "SOA"},  {12, "PTR"},
                            {15, "MX"}, {16, "TXT"},  {28, "AAAA"},  {33, "SRV"}, {35, "NAPTR"},
                            {43, "DS"}, {64, "SVCB"}, {65, "HTTPS"}, {255, "ANY"}};
constexpr Named kCodes[] = {{0, "NOERROR"},  {1, "FORMERR"}, {2, "SERVFAIL"},
                            {3, "NXDOMAIN"}, {4, "NOTIMP"},  {5, "REFUSED"}};

template <size_t kSize>
std::string_view Find(const Named (&table)[kSize], uint32_t number) {
  for (const Named& entry : table) {
    if (entry.number == number) return entry.name;
  }
  return "";
}

}  // namespace

std::optional<DnsQuestion> ParseDnsQuestion(std::string_view message) {
  if (message.size() < kHeadBytes) return std::nullopt;
  message.remove_prefix(kHeadBytes);
  DnsQuestion question;
  while (true) {
    if (message.empty()) return std::nullopt;
    const auto length = static_cast<unsigned char>(message.front());
    message.remove_prefix(1);
    if (length == 0) break;
    // A question has no pointers to earlier names.
    if (length > 63 || message.size() < length) return std::nullopt;
    if (!question.name.empty()) question.name += '.';
    for (const char c : message.substr(0, length)) {
      const bool is_plain = c > ' ' && c < 0x7F && c != '.' && c != '"' && c != '\\';
      question.name += is_plain ? c : '?';
    }
    if (question.name.size() > kMaxNameBytes) return std::nullopt;
    message.remove_prefix(length);
  }
  if (message.size() < 2) return std::nullopt;
  question.type = static_cast<uint16_t>(static_cast<unsigned char>(message[0]) << 8 |
                                        static_cast<unsigned char>(message[1]));
  return question;
}

std::string DnsTypeName(uint16_t type) {
  const std::string_view name = Find(kTypes, type);
  return name.empty() ? fmt::format("TYPE{}", type) : std::string(name);
}

std::string DnsCodeName(uint32_t code) {
  const std::string_view name = Find(kCodes, code);
  return name.empty() ? fmt::format("RCODE{}", code) : std::string(name);
}

}  // namespace faultline
