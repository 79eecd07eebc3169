#include "agent/faults/dns_answer.h"

#include <algorithm>
#include <cctype>

#include "agent/faults/dns_bytes.h"
#include "agent/faults/network_asked.h"
#include "common/text.h"

namespace faultline {
namespace {

constexpr size_t kHeader = 12;
constexpr size_t kMaxName = 255;
constexpr unsigned kTypeA = 1;
constexpr unsigned kTypeAaaa = 28;
constexpr unsigned kTtlS = 1;
constexpr size_t kMaxAnswers = 16;

// Where a name ends; 0 when it does not.
size_t SkipName(std::string_view message, size_t at) {
  for (int labels = 0; labels < 128 && at < message.size(); ++labels) {
    const auto length = static_cast<uint8_t>(message[at]);
    if (length == 0) return at + 1;
    if ((length & 0xc0) == 0xc0) return at + 2 <= message.size() ? at + 2 : 0;
    if (length > 63) return 0;
    at += length + 1U;
  }
  return 0;
}

struct UdpQuery {
  bool v6 = false;
  size_t ip = kEthernetBytes;
  size_t udp = 0;
  std::string_view message;
};

std::optional<UdpQuery> ReadUdp(std::string_view frame) {
  UdpQuery query;
  if (frame.size() < kEthernetBytes + 20) return std::nullopt;
  const unsigned type = Read16(frame, 12);
  if (type == 0x0800) {
    const size_t header = (static_cast<uint8_t>(frame[query.ip]) & 15U) * 4;
    if (header < 20 || frame[query.ip + 9] != 17) return std::nullopt;
    if ((Read16(frame, query.ip + 6) & 0x3fff) != 0) return std::nullopt;  // a fragment
    query.udp = query.ip + header;
  } else if (type == 0x86dd && frame.size() >= kEthernetBytes + 40) {
    query.v6 = true;
    if (frame[query.ip + 6] != 17) return std::nullopt;
    query.udp = query.ip + 40;
  } else {
    return std::nullopt;
  }
  if (frame.size() < query.udp + 8) return std::nullopt;
  const size_t length = Read16(frame, query.udp + 4);
  if (length < 8 + kHeader || query.udp + length > frame.size()) return std::nullopt;
  query.message = frame.substr(query.udp + 8, length - 8);
  return query;
}

bool IsMeant(const DnsRules& rules, const std::string& name) {
  if (rules.patterns.empty()) return true;
  return std::any_of(rules.patterns.begin(), rules.patterns.end(),
                     [&](const std::string& pattern) { return GlobMatch(pattern, name); });
}

bool IsV4(const RemoteAddress& address) {
  return address.address[10] == 0xff && address.address[11] == 0xff && address.address[0] == 0;
}

void PutAnswer(std::string& message, unsigned type, std::string_view bytes) {
  Put16(message, 0xc00c);  // the question's name
  Put16(message, type);
  Put16(message, 1);
  Put16(message, 0);
  Put16(message, kTtlS);
  Put16(message, static_cast<unsigned>(bytes.size()));
  message += bytes;
}

std::string MakeMessage(std::string_view query, const DnsQuery& question, const DnsRules& rules,
                        std::minstd_rand& random) {
  std::string message(query.substr(0, question.end));
  const bool wants_v4 = question.type == kTypeA;
  const bool wants_address = wants_v4 || question.type == kTypeAaaa;
  const bool error = !rules.random && rules.addresses.empty();
  unsigned answers = 0;
  if (wants_address && rules.random) {
    std::string bytes;
    for (int i = 0; i < (wants_v4 ? 4 : 16); ++i) bytes += static_cast<char>(random() >> 8 & 0xff);
    // An address that could be somebody's, and is nobody's loopback or multicast.
    bytes[0] = static_cast<char>(wants_v4 ? 11 + random() % 100 : 0x20);
    PutAnswer(message, question.type, bytes);
    ++answers;
  }
  for (const RemoteAddress& address : rules.addresses) {
    if (!wants_address || IsV4(address) != wants_v4 || answers == kMaxAnswers) continue;
    const auto* bytes = reinterpret_cast<const char*>(address.address.data());
    PutAnswer(message, question.type,
              wants_v4 ? std::string_view(bytes + 12, 4) : std::string_view(bytes, 16));
    ++answers;
  }
  const unsigned recursion = Read16(query, 2) & 0x0100;
  Set16(message, 2, 0x8080 | recursion | (error ? static_cast<unsigned>(rules.rcode) : 0));
  Set16(message, 4, 1);
  Set16(message, 6, answers);
  Set16(message, 8, 0);
  Set16(message, 10, 0);
  return message;
}

std::string MakeFrame(std::string_view frame, const UdpQuery& query, const std::string& message) {
  std::string out;
  out += frame.substr(6, 6);
  out += frame.substr(0, 6);
  out += frame.substr(12, 2);
  const unsigned udp_length = static_cast<unsigned>(8 + message.size());
  std::string addresses;
  if (query.v6) {
    addresses =
        std::string(frame.substr(query.ip + 24, 16)) + std::string(frame.substr(query.ip + 8, 16));
    out += std::string("\x60\0\0\0", 4);
    Put16(out, udp_length);
    out += std::string("\x11\x40", 2);
    out += addresses;
  } else {
    addresses =
        std::string(frame.substr(query.ip + 16, 4)) + std::string(frame.substr(query.ip + 12, 4));
    std::string header("\x45\0\0\0\0\0\x40\0\x40\x11\0\0", 12);
    Set16(header, 2, 20 + udp_length);
    header += addresses;
    Set16(header, 10, ~Sum16(header) & 0xffff);
    out += header;
  }
  std::string udp;
  udp += frame.substr(query.udp + 2, 2);
  udp += frame.substr(query.udp, 2);
  Put16(udp, udp_length);
  Put16(udp, 0);
  udp += message;
  const unsigned sum = ~Sum16(udp, Sum16(addresses, 17 + udp_length)) & 0xffff;
  Set16(udp, 6, sum == 0 ? 0xffff : sum);
  return out + udp;
}

}  // namespace

DnsRules DnsRulesOf(const FaultSpec& spec) {
  DnsRules rules;
  for (std::string pattern : spec.List("patterns")) {
    std::transform(pattern.begin(), pattern.end(), pattern.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    if (pattern.ends_with('.')) pattern.pop_back();
    rules.patterns.push_back(std::move(pattern));
  }
  const std::string rcode = spec.Text("rcode");
  rules.rcode = rcode == "NXDOMAIN" ? 3 : rcode == "REFUSED" ? 5 : 2;
  rules.random = spec.fault == "dns_random";
  for (const std::string& text : spec.List("addresses")) {
    if (const auto address = ParseRemote(text)) rules.addresses.push_back(*address);
  }
  return rules;
}

std::optional<DnsQuery> ReadDnsQuestion(std::string_view message) {
  if (message.size() < kHeader || Read16(message, 4) != 1) return std::nullopt;
  if ((Read16(message, 2) & 0xf800) != 0) return std::nullopt;  // an answer, or no plain query
  DnsQuery question;
  size_t at = kHeader;
  while (at < message.size() && message[at] != 0) {
    const auto length = static_cast<uint8_t>(message[at]);
    if (length > 63 || at + 1 + length > message.size()) return std::nullopt;
    for (size_t i = 0; i < length; ++i) {
      question.name +=
          static_cast<char>(std::tolower(static_cast<unsigned char>(message[at + 1 + i])));
    }
    question.name += '.';
    if (question.name.size() > kMaxName) return std::nullopt;
    at += length + 1U;
  }
  if (at + 5 > message.size()) return std::nullopt;
  if (!question.name.empty()) question.name.pop_back();
  question.type = Read16(message, at + 1);
  question.end = at + 5;
  return question;
}

std::optional<std::string> AnswerDnsMessage(std::string_view message, const DnsRules& rules,
                                            std::minstd_rand& random) {
  const auto question = ReadDnsQuestion(message);
  if (!question || !IsMeant(rules, question->name)) return std::nullopt;
  return MakeMessage(message, *question, rules, random);
}

std::optional<std::string> AnswerDns(std::string_view frame, const DnsRules& rules,
                                     std::minstd_rand& random) {
  const auto query = ReadUdp(frame);
  if (!query) return std::nullopt;
  const auto answer = AnswerDnsMessage(query->message, rules, random);
  if (!answer) return std::nullopt;
  return MakeFrame(frame, *query, *answer);
}

std::string MakeDnsQuery(std::string_view name, unsigned type, unsigned id) {
  std::string message;
  Put16(message, id);
  Put16(message, 0x0100);
  Put16(message, 1);
  message += std::string(6, '\0');
  for (const std::string_view label : Split(name, '.')) {
    if (label.empty() || label.size() > 63) continue;
    message += static_cast<char>(label.size());
    message += label;
  }
  message += '\0';
  Put16(message, type);
  Put16(message, 1);
  return message;
}

std::optional<DnsReply> ReadDnsReply(std::string_view message, unsigned id) {
  if (message.size() < kHeader || Read16(message, 0) != id || (Read16(message, 2) & 0x8000) == 0)
    return std::nullopt;
  DnsReply reply;
  reply.rcode = static_cast<int>(Read16(message, 2) & 15);
  size_t at = kHeader;
  for (unsigned i = 0; i < Read16(message, 4); ++i) {
    at = SkipName(message, at);
    if (at == 0 || at + 4 > message.size()) return std::nullopt;
    at += 4;
  }
  for (unsigned i = 0; i < std::min(Read16(message, 6), 64U); ++i) {
    at = SkipName(message, at);
    if (at == 0 || at + 10 > message.size()) return std::nullopt;
    const unsigned type = Read16(message, at);
    const size_t length = Read16(message, at + 8);
    at += 10;
    if (at + length > message.size()) return std::nullopt;
    RemoteAddress address;
    const auto* bytes = reinterpret_cast<const uint8_t*>(message.data() + at);
    if (type == kTypeA && length == 4) {
      address.address[10] = address.address[11] = 0xff;
      std::copy_n(bytes, 4, address.address.begin() + 12);
      reply.addresses.push_back(address);
    } else if (type == kTypeAaaa && length == 16) {
      std::copy_n(bytes, 16, address.address.begin());
      reply.addresses.push_back(address);
    }
    at += length;
  }
  return reply;
}

}  // namespace faultline
