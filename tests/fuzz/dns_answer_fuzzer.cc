// Any frame that a target sends, and any answer of a name server.
#include <cstdint>
#include <string_view>

#include "agent/faults/dns_answer.h"
#include "agent/faults/dns_tcp.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(bytes), size);
  std::minstd_rand random(1);
  faultline::DnsRules rules;
  if (const auto answer = faultline::AnswerDns(input, rules, random)) {
    // What we answer is an answer, to whoever asked.
    if (answer->substr(0, 6) != input.substr(6, 6)) __builtin_trap();
  }
  rules.random = true;
  rules.patterns = {"*.example.com"};
  (void)faultline::AnswerDns(input, rules, random);
  faultline::DnsTcp tcp;
  for (int i = 0; i < 2; ++i) (void)tcp.Take(input, rules, random);
  (void)faultline::ReadDnsQuestion(input);
  if (size >= 2)
    (void)faultline::ReadDnsReply(input, static_cast<unsigned>(bytes[0]) << 8 | bytes[1]);
  return 0;
}
