// What an HTTP fault does to a message: does it mean this one, and what becomes of it? Names are
// Chaos Mesh's. Headers and queries: replace sets, patch adds; bodies: replace, or JSON merge
// patch.
#pragma once

#include <string>
#include <string_view>

#include "agent/faults/fault.h"
#include "agent/faults/http_message.h"

namespace faultline {

struct HttpRules {
  bool on_response = false;
  uint16_t port = 0;
  std::string path;  // glob; empty: all
  std::string method;
  int code = 0;
  HttpHeaders request_headers;
  HttpHeaders response_headers;

  bool abort = false;
  int64_t delay_ns = 0;
  std::string new_path, new_method;
  int new_code = 0;
  HttpHeaders set_headers, add_headers;
  HttpHeaders set_queries, add_queries;
  bool replaces_body = false;
  std::string new_body;
  std::string merge_body;  // JSON

  bool IsNarrow() const {
    return !(path.empty() || path == "*" || path == "/*") || !method.empty() || code != 0 ||
           !request_headers.empty() || !response_headers.empty();
  }
  bool ChangesBody() const { return replaces_body || !merge_body.empty(); }
};

// kInvalidArgument names the parameter.
Result<HttpRules> ReadHttpRules(const FaultSpec& spec);
bool MeansRequest(const HttpRules& rules, const HttpMessageHead& request);
bool MeansResponse(const HttpRules& rules, const HttpMessageHead& request, const HttpMessageHead& response);
// Changes the head; the length of the body is set by who knows it.
void ChangeHead(const HttpRules& rules, HttpMessageHead& head);
std::string ChangeBody(const HttpRules& rules, const std::string& body);
std::string DescribeHttp(const HttpRules& rules);

}  // namespace faultline
