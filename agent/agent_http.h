// The agent's small HTTP server: GET of a few pages, on the agent's one io_context. Each page is made when it is asked for,
// in microseconds; connections, header size and time are bounded.
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
};

class AgentHttp {
 public:
  using Pages = std::map<std::string, std::function<Page()>>;  // by path

  // Whether a bearer token may read.
  using Authorize = std::function<bool(std::string_view token)>;

  // `listen` is host:port, port 0 picks a free one. Without `authorize` all pages are open; with it only /healthz and
  // /readyz are. The loop outlives the server.
  static Result<std::unique_ptr<AgentHttp>> Start(EventLoop* loop, const std::string& listen,
                                                  Authorize authorize, Pages pages);
  ~AgentHttp();
  // host:port really bound.
  std::string address() const;

 private:
  struct Impl;
  explicit AgentHttp(std::shared_ptr<Impl> impl);
  std::shared_ptr<Impl> impl_;
};

}  // namespace faultline
