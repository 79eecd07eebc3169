// Answers to DNS questions, made from the question's own packet: an Ethernet frame with a UDP query
// goes in, the frame of the answer comes out, addressed back. Bytes of strangers: everything is
// bounded, and what is not a plain query is left alone.
#pragma once

#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "agent/faults/fault.h"
#include "agent/faults/traffic_filter.h"

namespace faultline {

struct DnsRules {
  std::vector<std::string> patterns;     // globs on lower-case names; empty: all names
  int rcode = 2;                         // of dns_error: 2 SERVFAIL, 3 NXDOMAIN, 5 REFUSED
  bool random = false;                   // dns_random
  std::vector<RemoteAddress> addresses;  // dns_answer
};

// Of the parameters of dns_error, dns_random, dns_answer.
DnsRules DnsRulesOf(const FaultSpec& spec);
// nullopt: no query that the rules mean; the frame goes on as it is.
std::optional<std::string> AnswerDns(std::string_view frame, const DnsRules& rules,
                                     std::minstd_rand& random);
// The same of the DNS message alone.
std::optional<std::string> AnswerDnsMessage(std::string_view message, const DnsRules& rules,
                                            std::minstd_rand& random);

struct DnsQuery {
  std::string name;  // lower case, without the last dot
  unsigned type = 0;
  size_t end = 0;  // in the message
};
std::optional<DnsQuery> ReadDnsQuestion(std::string_view message);
// A query for `name`; and what an answer to it says.
std::string MakeDnsQuery(std::string_view name, unsigned type, unsigned id);
struct DnsReply {
  int rcode = 0;
  std::vector<RemoteAddress> addresses;
};
std::optional<DnsReply> ReadDnsReply(std::string_view message, unsigned id);

}  // namespace faultline
