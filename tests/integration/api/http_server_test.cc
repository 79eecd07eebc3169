// The real server on a free port against real sockets, friendly and hostile. Every wait has a deadline.
#include "aggregator/api/http_server.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <thread>

#include "common/gzip.h"
#include "common/self_metrics.h"

namespace faultline {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

class Connection {
 public:
  explicit Connection(uint16_t port) : fd_(socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  }
  ~Connection() { close(fd_); }
  bool Write(std::string_view text) {
    while (!text.empty()) {
      const ssize_t n = send(fd_, text.data(), text.size(), MSG_NOSIGNAL);
      if (n <= 0) return false;
      text.remove_prefix(static_cast<size_t>(n));
    }
    return true;
  }
  // Reads until `until` was seen, the peer closed, or ten seconds went by.
  std::string Read(std::string_view until = "\xff") {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (text_.find(until) == std::string::npos && std::chrono::steady_clock::now() < end) {
      pollfd waiting{fd_, POLLIN, 0};
      if (poll(&waiting, 1, 100) <= 0) continue;
      char buffer[4096];
      const ssize_t n = recv(fd_, buffer, sizeof buffer, 0);
      if (n <= 0) {
        closed_ = true;
        break;
      }
      text_.append(buffer, static_cast<size_t>(n));
    }
    return std::exchange(text_, {});
  }
  bool closed() const { return closed_; }

 private:
  int fd_;
  std::string text_;
  bool closed_ = false;
};

Result<Reply> Echo(const Request& request, ApiContext&) {
  Reply reply;
  reply.content_type = "text/plain";
  reply.body = request.principal + " " + request.method + " " + request.path;
  for (const auto& [name, value] : request.parameters) reply.body += " " + name + "=" + value;
  for (const auto& [name, value] : request.path_values) reply.body += " {" + name + "}=" + value;
  reply.body += " body=" + std::to_string(request.body.size()) + "\n";
  return reply;
}

Result<Reply> Broken(const Request&, ApiContext&) {
  return Fail(ErrorCode::kInvalidArgument, "parameter \"x\": not a number");
}

Result<Reply> Throws(const Request&, ApiContext&) { throw std::runtime_error("library says no"); }

Result<Reply> Slow(const Request&, ApiContext&) {
  std::this_thread::sleep_for(std::chrono::milliseconds(800));
  return Reply();
}

Result<Reply> Big(const Request&, ApiContext&) {
  Reply reply;
  reply.body = std::string(8 << 20, 'x');
  return reply;
}

class Ticks final : public BodyStream {
 public:
  std::optional<std::string> Next() override {
    if (count_ == 3) return std::nullopt;
    if (count_++ == 1) return "";
    return "tick " + std::to_string(count_) + "\n";
  }

 private:
  int count_ = 0;
};

Result<Reply> Stream(const Request&, ApiContext&) {
  Reply reply;
  reply.stream = std::make_unique<Ticks>();
  return reply;
}

constexpr ErrorForm kPrometheus = ErrorForm::kPrometheus;
constexpr Route kRoutes[] = {
    {"GET", "/open", Role::kAnyone, kPrometheus, "", Echo},
    {"GET POST", "/echo/{name}", Role::kViewer, kPrometheus, "", Echo},
    {"POST", "/write", Role::kOperator, kPrometheus, "", Echo},
    {"GET", "/broken", Role::kViewer, kPrometheus, "", Broken},
    {"GET", "/apis/broken", Role::kViewer, ErrorForm::kKubernetes, "", Broken},
    {"GET", "/throws", Role::kViewer, kPrometheus, "", Throws},
    {"GET", "/slow", Role::kViewer, kPrometheus, "", Slow},
    {"GET", "/big", Role::kViewer, kPrometheus, "", Big},
    {"GET", "/stream", Role::kViewer, kPrometheus, "", Stream},
};

class HttpServerTest : public ::testing::Test {
 protected:
  void Start() {
    context_.clock = &clock_;
    context_.self_metrics = &metrics_;
    options_.listen = "127.0.0.1:0";
    auto server = HttpServer::Start(options_, kRoutes, &context_);
    ASSERT_TRUE(server) << server.error().message;
    server_ = std::move(*server);
  }
  std::string Ask(std::string_view request) {
    Connection connection(server_->port());
    connection.Write(request);
    return connection.Read();
  }
  std::string Get(std::string_view target, std::string_view headers = "") {
    return Ask(fmt::format("GET {} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{}\r\n", target,
                           headers));
  }

  SystemClock clock_;
  SelfMetrics metrics_;
  ApiContext context_;
  HttpServerOptions options_;
  std::unique_ptr<HttpServer> server_;
};

TEST_F(HttpServerTest, AnswersWithDecodedPathAndParameters) {
  Start();
  EXPECT_THAT(Get("/echo/a%20b?q=1%2B1"),
              HasSubstr("anonymous GET /echo/a b q=1+1 {name}=a b body=0\n"));
  EXPECT_THAT(Ask("POST /echo/x HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 7\r\n"
                  "Content-Type: application/x-www-form-urlencoded; charset=utf-8\r\n\r\na=b+c&d"),
              HasSubstr(" a=b c d= {name}=x body=7\n"));
}

TEST_F(HttpServerTest, ErrorsInBothForms) {
  Start();
  EXPECT_THAT(Get("/broken"), HasSubstr("{\"status\":\"error\",\"errorType\":\"bad_data\",\"error\":"
                                        "\"parameter \\\"x\\\": not a number\"}"));
  EXPECT_THAT(Get("/apis/broken"), HasSubstr("\"kind\":\"Status\""));
  EXPECT_THAT(Get("/apis/nowhere"), HasSubstr("\"reason\":\"NotFound\""));
  EXPECT_THAT(Get("/nowhere"), StartsWith("HTTP/1.1 404"));
  EXPECT_THAT(Get("/throws"), HasSubstr("library says no"));
  EXPECT_THAT(Get("/echo/%zz"), StartsWith("HTTP/1.1 400"));
  EXPECT_THAT(Get("/echo/x?q=%"), StartsWith("HTTP/1.1 400"));
}

TEST_F(HttpServerTest, HeadOptionsAndWrongMethod) {
  Start();
  const std::string head = Ask("HEAD /echo/x HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
  EXPECT_THAT(head, HasSubstr("Content-Length: "));
  EXPECT_THAT(head, Not(HasSubstr("anonymous")));
  EXPECT_THAT(Ask("OPTIONS /echo/x HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"),
              HasSubstr("Allow: GET, POST, OPTIONS"));
  const std::string wrong = Ask("DELETE /echo/x HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
  EXPECT_THAT(wrong, StartsWith("HTTP/1.1 405"));
  EXPECT_THAT(wrong, HasSubstr("Allow: GET, POST, OPTIONS"));
}

TEST_F(HttpServerTest, KeepAliveAndPipelining) {
  Start();
  Connection connection(server_->port());
  std::string requests;
  for (int i = 0; i < 50; ++i) {
    requests += fmt::format("POST /echo/{} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\nabc", i);
  }
  ASSERT_TRUE(connection.Write(requests));
  const std::string replies = connection.Read("/echo/49 {name}=49 body=3\n");
  for (int i = 0; i < 50; ++i) {
    EXPECT_THAT(replies, HasSubstr(fmt::format("/echo/{} {{name}}={} body=3\n", i, i)));
  }
}

TEST_F(HttpServerTest, GzipBothWays) {
  Start();
  const std::string body = Gzip(std::string(5000, 'a'));
  EXPECT_THAT(Ask(fmt::format("POST /echo/x HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
                              "Content-Encoding: gzip\r\nContent-Length: {}\r\n\r\n{}", body.size(), body)),
              HasSubstr("body=5000\n"));
  EXPECT_THAT(Get("/big", "Accept-Encoding: gzip\r\n"), HasSubstr("Content-Encoding: gzip"));
  EXPECT_THAT(Ask("POST /echo/x HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
                  "Content-Encoding: br\r\nContent-Length: 1\r\n\r\nx"),
              StartsWith("HTTP/1.1 415"));
}

TEST_F(HttpServerTest, BodiesAreBounded) {
  options_.max_body_bytes = 1000;
  Start();
  EXPECT_THAT(Ask("POST /echo/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1001\r\n\r\n"),
              StartsWith("HTTP/1.1 413"));
  EXPECT_THAT(Ask("POST /echo/x HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
                  "3ff\r\n" + std::string(0x3ff, 'x') + "\r\n0\r\n\r\n"),
              StartsWith("HTTP/1.1 413"));
  const std::string bomb = Gzip(std::string(1001, 'x'));
  EXPECT_THAT(Ask(fmt::format("POST /echo/x HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
                              "Content-Encoding: gzip\r\nContent-Length: {}\r\n\r\n{}", bomb.size(), bomb)),
              StartsWith("HTTP/1.1 4"));
}

TEST_F(HttpServerTest, GarbageAndOversizeHeaders) {
  options_.max_header_bytes = 4096;
  Start();
  EXPECT_THAT(Ask("\x16\x03\x01garbage\r\n\r\n"), StartsWith("HTTP/1.1 400"));
  EXPECT_THAT(Ask("GET / HTTP/9.9\r\n\r\n"), StartsWith("HTTP/1.1 400"));
  EXPECT_THAT(Ask("GET / HTTP/1.1\r\nA: " + std::string(9000, 'a') + "\r\n\r\n"),
              StartsWith("HTTP/1.1 431"));
  EXPECT_THAT(Ask("POST /echo/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n"),
              StartsWith("HTTP/1.1 400"));
  EXPECT_THAT(Get("/open"), StartsWith("HTTP/1.1 200")) << "the server is well after that";
}

TEST_F(HttpServerTest, SlowClientsAreCutOff) {
  options_.header_timeout_ms = 200;
  options_.body_timeout_ms = 200;
  options_.idle_timeout_ms = 200;
  Start();
  Connection silent(server_->port()), half(server_->port()), no_body(server_->port());
  half.Write("GET /open HT");
  no_body.Write("POST /echo/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nabc");
  for (Connection* connection : {&silent, &half, &no_body}) {
    connection->Read();
    EXPECT_TRUE(connection->closed());
  }
  // A socket closes a moment before it is counted.
  Counter& timeouts = metrics_.GetCounter("faultline_http_refused_total", "", {{"reason", "timeout"}});
  for (int i = 0; i < 500 && timeouts.Value() < 3; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  EXPECT_EQ(timeouts.Value(), 3);
}

TEST_F(HttpServerTest, ConnectionLimit) {
  options_.max_connections = 4;
  Start();
  std::vector<std::unique_ptr<Connection>> held;
  for (int i = 0; i < 4; ++i) {
    held.push_back(std::make_unique<Connection>(server_->port()));
    held.back()->Write("GET /open HTTP/1.1\r\nHost: localhost\r\n\r\n");
    EXPECT_THAT(held.back()->Read("body=0\n"), StartsWith("HTTP/1.1 200"));
  }
  EXPECT_THAT(Get("/open"), StartsWith("HTTP/1.1 503"));
  held.clear();
  std::string answer;
  for (int i = 0; i < 50 && !answer.starts_with("HTTP/1.1 200"); ++i) answer = Get("/open");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 200"));
}

TEST_F(HttpServerTest, DeadlineAndFullQueue) {
  options_.request_timeout_ms = 50;
  options_.worker_threads = 1;
  options_.max_queued_requests = 1;
  Start();
  std::vector<std::unique_ptr<Connection>> asked;
  for (int i = 0; i < 6; ++i) {
    asked.push_back(std::make_unique<Connection>(server_->port()));
    asked.back()->Write("GET /slow HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
  }
  int late = 0, busy = 0;
  for (const auto& connection : asked) {
    const std::string answer = connection->Read();
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 503"));
    late += answer.find("deadline") != std::string::npos;
    busy += answer.find("Retry-After") != std::string::npos;
  }
  EXPECT_GE(late, 1);
  EXPECT_GE(busy, 1);
  EXPECT_EQ(late + busy, 6);
}

TEST_F(HttpServerTest, StreamsAreChunked) {
  Start();
  const std::string answer = Get("/stream");
  EXPECT_THAT(answer, HasSubstr("Transfer-Encoding: chunked"));
  EXPECT_THAT(answer, HasSubstr("7\r\ntick 1\n\r\n7\r\ntick 3\n\r\n0\r\n\r\n"));
}

TEST_F(HttpServerTest, ClientThatNeverReadsDoesNotHoldAWorker) {
  options_.write_timeout_ms = 200;
  Start();
  std::vector<std::unique_ptr<Connection>> deaf;
  for (int i = 0; i < 8; ++i) {
    deaf.push_back(std::make_unique<Connection>(server_->port()));
    deaf.back()->Write("GET /big HTTP/1.1\r\nHost: localhost\r\n\r\n");
  }
  EXPECT_THAT(Get("/open"), StartsWith("HTTP/1.1 200"));
}

TEST_F(HttpServerTest, TokensAndRoles) {
  options_.tokens = ::testing::TempDir() + "/http_server_test_tokens";
  std::ofstream(options_.tokens) << "viewer-token-0001 viewer ann\noperator-token-0001 operator bob\n";
  chmod(options_.tokens.c_str(), 0600);
  Start();
  EXPECT_THAT(Get("/open"), StartsWith("HTTP/1.1 200"));
  EXPECT_THAT(Get("/echo/x"), StartsWith("HTTP/1.1 401"));
  EXPECT_THAT(Get("/nowhere"), StartsWith("HTTP/1.1 401")) << "strangers learn nothing about paths";
  EXPECT_THAT(Get("/echo/x", "Authorization: Bearer wrong-token-00001\r\n"), StartsWith("HTTP/1.1 401"));
  EXPECT_THAT(Get("/echo/x", "Authorization: Bearer viewer-token-0001\r\n"), HasSubstr("ann GET"));
  const auto write = [&](std::string_view token) {
    return Ask(fmt::format("POST /write HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
                           "Content-Length: 0\r\nAuthorization: bearer {}\r\n\r\n", token));
  };
  EXPECT_THAT(write("viewer-token-0001"), StartsWith("HTTP/1.1 403"));
  EXPECT_THAT(write("operator-token-0001"), HasSubstr("bob POST"));
  std::filesystem::remove(options_.tokens);
}

TEST_F(HttpServerTest, WithoutTokensOnlyLocalNamesAndLoopback) {
  Start();
  EXPECT_THAT(Ask("GET /echo/x HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n"),
              StartsWith("HTTP/1.1 403"));
  EXPECT_THAT(Get("/echo/x", "Origin: https://evil.example\r\n"), StartsWith("HTTP/1.1 403"));
  EXPECT_THAT(Ask("GET /echo/x HTTP/1.1\r\nHost: 127.evil.example\r\nConnection: close\r\n\r\n"),
              StartsWith("HTTP/1.1 403"));
  EXPECT_THAT(Get("/echo/x", "Origin: http://localhost:8710\r\n"), StartsWith("HTTP/1.1 200"));
  HttpServerOptions everywhere;
  everywhere.listen = "0.0.0.0:0";
  const auto refused = HttpServer::Start(everywhere, kRoutes, &context_);
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, HasSubstr("security.tokens"));
}

TEST_F(HttpServerTest, CountsPerRoute) {
  Start();
  Get("/echo/1");
  Get("/echo/2");
  Get("/nowhere");
  const std::string text = metrics_.Render();
  EXPECT_THAT(text, HasSubstr("faultline_http_requests_total{code=\"200\",method=\"GET\",route=\"/echo/{name}\"} 2"));
  EXPECT_THAT(text, HasSubstr("faultline_http_requests_total{code=\"404\",method=\"GET\",route=\"none\"} 1"));
  EXPECT_THAT(text, HasSubstr("faultline_http_request_duration_seconds_count{route=\"/echo/{name}\"} 2"));
}

}  // namespace
}  // namespace faultline
