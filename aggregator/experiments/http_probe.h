// One HTTP/1.1 request without TLS, with a deadline: what a status check needs. Blocks.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "common/result.h"

namespace faultline {

struct HttpProbe {
  std::string method = "GET";
  std::string url;  // http://host[:port][/path]
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;
  int64_t timeout_ns = 0;
};

// The status code of the answer.
Result<int> ProbeHttp(const HttpProbe& probe);

}  // namespace faultline
