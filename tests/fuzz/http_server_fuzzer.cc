// Any bytes to the HTTP server over a connection: what comes back is HTTP or nothing, the connection ends soon after the
// client has said all, and the server still answers others.
#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "aggregator/api/http_server.h"
#include "common/assert.h"
#include "common/self_metrics.h"

namespace {

using namespace faultline;

Result<Reply> Echo(const Request& request, ApiContext&) {
  Reply reply;
  for (const auto& [name, value] : request.parameters) reply.body += name + "=" + value + "\n";
  for (const auto& [name, value] : request.path_values) reply.body += name + "=" + value + "\n";
  reply.body += request.body;
  return reply;
}

class Two final : public BodyStream {
 public:
  std::optional<std::string> Next() override {
    return left_-- > 0 ? std::optional<std::string>("piece\n") : std::nullopt;
  }

 private:
  int left_ = 2;
};

Result<Reply> Stream(const Request&, ApiContext&) {
  Reply reply;
  reply.stream = std::make_unique<Two>();
  reply.web_socket = true;
  return reply;
}

constexpr ErrorForm kForm = ErrorForm::kPrometheus;
constexpr Route kRoutes[] = {
    {"GET POST", "/echo/{name}", Role::kViewer, kForm, "", Echo},
    {"GET", "/stream", Role::kViewer, kForm, "", Stream},
};

struct World {
  SystemClock clock;
  SelfMetrics metrics;
  ApiContext context;
  std::unique_ptr<HttpServer> server;
  World() {
    context.clock = &clock;
    context.self_metrics = &metrics;
    HttpServerOptions options;
    options.listen = "127.0.0.1:0";
    options.max_body_bytes = 64 << 10;
    options.max_header_bytes = 8 << 10;
    options.io_threads = options.worker_threads = options.ingest_threads = options.stream_threads = 1;
    auto started = HttpServer::Start(options, kRoutes, &context);
    FAULTLINE_ASSERT(started.has_value(), "start");
    server = std::move(*started);
  }
};

// What is answered to a client that says this and no more.
std::string Say(uint16_t port, std::string_view text) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  FAULTLINE_ASSERT(::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0, "connect");
  const linger at_once{1, 0};  // leaves no address in TIME_WAIT: there are more inputs than ports
  ::setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  while (!text.empty()) {
    const ssize_t sent = ::send(fd, text.data(), text.size(), MSG_NOSIGNAL);
    if (sent <= 0) break;  // refused before all was said
    text.remove_prefix(static_cast<size_t>(sent));
  }
  ::shutdown(fd, SHUT_WR);
  std::string answer;
  while (true) {
    pollfd waiting{fd, POLLIN, 0};
    FAULTLINE_ASSERT(::poll(&waiting, 1, 10'000) == 1, "the connection ends when the client has said all");
    char bytes[4096];
    const ssize_t got = ::recv(fd, bytes, sizeof bytes, 0);
    if (got <= 0) break;
    answer.append(bytes, static_cast<size_t>(got));
  }
  ::close(fd);
  return answer;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  static World& world = *new World;
  const std::string_view text(reinterpret_cast<const char*>(bytes), std::min<size_t>(size, 128 << 10));
  const std::string answer = Say(world.server->port(), text);
  FAULTLINE_ASSERT(answer.empty() || answer.starts_with("HTTP/1."), "an answer is HTTP");
  static int inputs = 0;
  if (++inputs % 64 == 0) {
    const std::string other =
        Say(world.server->port(), "GET /echo/x?q=1 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    FAULTLINE_ASSERT(other.find("q=1\nname=x\n") != std::string::npos, "others are answered");
  }
  return 0;
}
