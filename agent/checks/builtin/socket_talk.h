// Short conversations over sockets with a deadline.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "common/result.h"

namespace faultline {

// Nanoseconds until connected; host is an address or a name.
Result<int64_t> ConnectTcp(const std::string& host, uint16_t port, int timeout_ms);
Result<void> ConnectUnix(const std::string& path, int timeout_ms);
// GET http://host:port/path: status code and the beginning of the body.
struct HttpAnswer {
  int status = 0;
  std::string body;
};
Result<HttpAnswer> GetHttp(const std::string& host, uint16_t port, std::string_view path,
                           int timeout_ms);

}  // namespace faultline
