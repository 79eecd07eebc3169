// What the requests probe reads of strangers' bytes: heads of HTTP requests, routes, DNS questions,
// and arguments of programs.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "agent/probes/arguments.h"
#include "agent/probes/dns_question.h"
#include "agent/probes/http_head.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(bytes), size);
  if (const auto head = faultline::ParseHttpHead(text)) {
    if (head->method.empty() || head->trace_id.size() % 16 != 0) std::abort();
    const std::string route = faultline::RouteOf(head->path);
    if (route.empty() || route.front() != '/') std::abort();
  }
  if (const auto question = faultline::ParseDnsQuestion(text)) {
    if (question->name.size() > 253) std::abort();
  }
  (void)faultline::ArgumentsText(text, faultline::Arguments::kRedacted);
  return 0;
}
