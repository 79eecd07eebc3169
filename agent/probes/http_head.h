// The beginning of an HTTP/1 request, as far as it was seen. Pure; the bytes are strangers'.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace faultline {

struct HttpHead {
  std::string_view method;
  std::string_view path;  // without the query
  std::string_view host;
  std::string_view user_agent;
  // Of `traceparent`, as 16 and 8 raw bytes; empty if there is none or it is not well formed.
  std::string trace_id;
  std::string parent_span_id;
  bool is_sampled = false;
};

// Views into `bytes`. nullopt: no request line. What was cut off is missing.
std::optional<HttpHead> ParseHttpHead(std::string_view bytes);

// The path with what looks like an identifier replaced: /users/42/orders/7f3c… is
// /users/{id}/orders/{id}. At most eight parts, the rest is `…`.
std::string RouteOf(std::string_view path);

}  // namespace faultline
