// Whether host:port is this machine's own, reached by nobody else.
#pragma once

#include <string_view>

namespace faultline {

inline bool IsLoopback(std::string_view listen) {
  return listen.starts_with("127.") || listen.starts_with("localhost:") || listen.starts_with("[::1]:");
}

}  // namespace faultline
