// The agent's small HTTP server, on the agent's one io_context: GET of a few pages, each made when
// it is asked for, in microseconds, and POST to a few receivers. Connections, header and body size,
// bodies at a time and time are bounded.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "agent/event_loop.h"
#include "common/result.h"

namespace faultline {

struct Page {
  int status = 200;
  std::string content_type = "text/plain; charset=utf-8";
  std::string body;
  int retry_after_s = 0;  // a header, if not 0
};

struct Posted {
  std::string path, content_type, content_encoding, body;
};

class AgentHttp {
 public:
  using Pages = std::map<std::string, std::function<Page()>>;  // by path
  // Called on the loop; calls `reply` once, on the loop, now or later.
  using Receiver = std::function<void(Posted posted, std::function<void(Page)> reply)>;
  // Whether a bearer token is known.
  using Authorize = std::function<bool(std::string_view token)>;

  struct Options {
    std::string listen;   // host:port, port 0 picks a free one
    Authorize authorize;  // without it all is open; with it only /healthz and /readyz are
    Pages pages;
    std::map<std::string, Receiver> receivers;  // by path
    uint64_t max_body_bytes = 4096;
    size_t max_connections = 64;
    size_t max_bodies =
        16;  // received or answered at a time; what comes beyond is told to come again (503)
  };

  // The loop outlives the server.
  static Result<std::unique_ptr<AgentHttp>> Start(EventLoop* loop, Options options);
  ~AgentHttp();
  // host:port really bound.
  std::string address() const;

 private:
  struct Impl;
  explicit AgentHttp(std::shared_ptr<Impl> impl);
  std::shared_ptr<Impl> impl_;
};

}  // namespace faultline
