// One HTTP request at a time to another system: Alertmanagers, receivers of remote write. Blocks, within a deadline.
// Thread-safe; each call is a connection of its own.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/clock.h"
#include "common/result.h"

namespace faultline {

struct HttpCall {
  std::string method = "POST";
  std::string url;  // http:// or https://, whose certificate is verified against the system's
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;
  int64_t timeout_ns = 10 * kNsPerSecond;  // from connecting to the last byte of the answer
  uint64_t max_reply_bytes = 1 << 20;
};

struct HttpAnswer {
  unsigned status = 0;
  std::string body;
  std::string retry_after;  // header, if any
};

// Any answer is a success here, whatever its status. kUnavailable, kTimeout: no answer; kInvalidArgument: the URL.
Result<HttpAnswer> CallHttp(const HttpCall& call);
// Whether CallHttp could call it.
Result<void> CheckHttpUrl(std::string_view url);

}  // namespace faultline
