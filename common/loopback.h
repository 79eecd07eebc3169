// Whether a host is this machine as seen by itself. Literal addresses and `localhost` only: a name
// that merely looks like one (127.example.org) is anybody's.
#pragma once

#include <string_view>

namespace faultline {

// 127.0.0.0/8, ::1 (without brackets), localhost.
bool IsLoopbackHost(std::string_view host);
// The same of host:port, [v6]:port or a host alone, as in `listen` keys and the Host header (RFC
// 9110).
bool IsLoopback(std::string_view authority);

}  // namespace faultline
