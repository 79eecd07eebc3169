// Real sockets: a server and a client in cgroups of their own, counted request by request; and DNS
// over a server of the test's own on a loopback address.
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <set>

#include "tests/support/own_cgroup.h"
#include "tests/support/probe_pass.h"

namespace faultline {
namespace {

constexpr int kRequests = 120;
constexpr int kQueries = 10;
constexpr char kTraced[] =
    "GET /orders/7 HTTP/1.1\r\nHost: shop\r\n"
    "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n\r\n";

sockaddr_in At(uint32_t address, uint16_t port) {
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_addr.s_addr = htonl(address);
  at.sin_port = htons(port);
  return at;
}

// Answers on one connection: the first request with 503 and by writev, all others with 200.
int Serve(int port_pipe) {
  const int listener = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address = At(INADDR_LOOPBACK, 0);
  socklen_t length = sizeof address;
  if (bind(listener, reinterpret_cast<sockaddr*>(&address), length) != 0 ||
      listen(listener, 8) != 0)
    return 1;
  getsockname(listener, reinterpret_cast<sockaddr*>(&address), &length);
  const uint16_t port = ntohs(address.sin_port);
  if (write(port_pipe, &port, sizeof port) != sizeof port) return 2;
  const int connection = accept(listener, nullptr, nullptr);
  char request[1024];
  for (int i = 0;; ++i) {
    const ssize_t got = i % 2 == 0 ? recv(connection, request, sizeof request, 0)
                                   : read(connection, request, sizeof request);
    if (got <= 0) return got == 0 ? 0 : 3;
    std::string head = i == 0 ? "HTTP/1.1 503 No\r\nContent-Length: 2\r\n\r\n"
                              : "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n";
    std::string body = "ok";
    const iovec parts[] = {{head.data(), head.size()}, {body.data(), body.size()}};
    if (i == 0 ? writev(connection, parts, 2) < 0
               : send(connection, (head + body).data(), head.size() + body.size(), 0) < 0)
      return 4;
  }
}

int Ask(uint16_t port) {
  const int connection = socket(AF_INET, SOCK_STREAM, 0);
  const sockaddr_in to = At(INADDR_LOOPBACK, port);
  if (connect(connection, reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0) return 1;
  char answer[1024];
  for (int i = 0; i < kRequests; ++i) {
    const std::string request =
        i == 1 ? kTraced : "POST /users/" + std::to_string(i) + " HTTP/1.1\r\nHost: shop\r\n\r\n";
    if (write(connection, request.data(), request.size()) < 0) return 2;
    if (read(connection, answer, sizeof answer) <= 0) return 3;
  }
  close(connection);
  return 0;
}

std::string Attribute(const v1::Span& span, const std::string& name) {
  for (const v1::Attribute& attribute : span.attributes()) {
    if (attribute.name() == name) return attribute.value();
  }
  return "";
}

class RequestsProbeTest : public ProbePass {};

TEST_F(RequestsProbeTest, EveryRequestIsASpanOfTheServerAndNamesTheClient) {
  if (!Make("requests")) return;
  OwnCgroup server(index_->mounts(), "http-server", {"memory"});
  OwnCgroup client(index_->mounts(), "http-client", {"memory"});
  ASSERT_TRUE(server.ok() && client.ok());
  ASSERT_TRUE(index_->Refresh());
  int port_pipe[2];
  ASSERT_EQ(pipe(port_pipe), 0);
  const pid_t serving = server.Start([&] { return Serve(port_pipe[1]); });
  uint16_t port = 0;
  ASSERT_EQ(read(port_pipe[0], &port, sizeof port), ssize_t{sizeof port});
  EXPECT_EQ(client.Run([&] { return Ask(port); }), 0);
  EXPECT_EQ(server.Wait(serving), 0);
  Collect();
  std::set<std::string> names;
  int of_server = 0, errors = 0, in_trace = 0;
  for (const auto& [span, origin] : out.spans) {
    if (origin.cgroup_path != server.path()) continue;
    ++of_server;
    names.insert(span.name());
    EXPECT_EQ(span.kind(), 2);
    EXPECT_EQ("/" + Attribute(span, "peer.container.name"), client.path());
    EXPECT_GE(span.end_unix_ns(), span.start_unix_ns());
    if (span.status_code() == 2) ++errors;
    if (!span.parent_span_id().empty()) {
      ++in_trace;
      EXPECT_EQ(span.parent_span_id(), "\xb7\xad\x6b\x71\x69\x20\x33\x31");
      EXPECT_EQ(span.trace_id(),
                "\x0a\xf7\x65\x19\x16\xcd\x43\xdd\x84\x48\xeb\x21\x1c\x80\x31\x9c");
      EXPECT_EQ(Attribute(span, "url.path"), "/orders/7");
    }
  }
  EXPECT_EQ(of_server, kRequests);
  EXPECT_EQ(errors, 1);
  EXPECT_EQ(in_trace, 1);
  EXPECT_EQ(names, (std::set<std::string>{"GET /orders/{id}", "POST /users/{id}"}));
  EXPECT_EQ(Value(server.path(),
                  R"(container_http_request_duration_seconds_count{method="POST",status="200"})"),
            kRequests - 2);
  EXPECT_EQ(Value(server.path(),
                  R"(container_http_request_duration_seconds_count{method="POST",status="503"})"),
            1);
  ExpectBooksBalance("requests");
  for (const int file : port_pipe) close(file);
}

TEST_F(RequestsProbeTest, DnsQueriesHaveNameLatencyAndCode) {
  if (!Make("requests")) return;
  OwnCgroup client(index_->mounts(), "dns-client", {"memory"});
  ASSERT_TRUE(client.ok());
  ASSERT_TRUE(index_->Refresh());
  // 127.87.x.y, so that two runs do not meet.
  const uint32_t where = 0x7F570000 | (static_cast<uint32_t>(getpid()) & 0xFFFF);
  const sockaddr_in address = At(where, 53);
  const int server = socket(AF_INET, SOCK_DGRAM, 0);
  if (bind(server, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    GTEST_SKIP() << "port 53 of a loopback address cannot be had";
  const pid_t asking = client.Start([&] {
    const int file = socket(AF_INET, SOCK_DGRAM, 0);
    if (connect(file, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) return 1;
    for (int i = 0; i < kQueries + 1; ++i) {
      std::string query(
          "\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x02no\x04test\x00\x00\x01\x00\x01", 25);
      query[0] = static_cast<char>(i);
      if (send(file, query.data(), query.size(), 0) < 0) return 2;
      char answer[512];
      // The last one is not answered.
      if (i < kQueries && recv(file, answer, sizeof answer, 0) <= 0) return 3;
    }
    return 0;
  });
  for (int i = 0; i < kQueries + 1; ++i) {
    char query[512];
    sockaddr_in from{};
    socklen_t length = sizeof from;
    const ssize_t got =
        recvfrom(server, query, sizeof query, 0, reinterpret_cast<sockaddr*>(&from), &length);
    ASSERT_GT(got, 12);
    query[2] = static_cast<char>(0x81);
    query[3] = static_cast<char>(0x83);
    if (i < kQueries) {
      ASSERT_GT(sendto(server, query, static_cast<size_t>(got), 0,
                       reinterpret_cast<sockaddr*>(&from), length),
                0);
    }
  }
  EXPECT_EQ(client.Wait(asking), 0);
  close(server);
  Collect();
  EXPECT_EQ(Value(client.path(), R"(container_dns_query_duration_seconds_count{code="NXDOMAIN"})"),
            kQueries);
  int spans = 0;
  for (const auto& [span, origin] : out.spans) {
    if (origin.cgroup_path != client.path()) continue;
    ++spans;
    EXPECT_EQ(Attribute(span, "dns.question.name"), "no.test");
    EXPECT_EQ(Attribute(span, "dns.response.code"), "NXDOMAIN");
  }
  EXPECT_EQ(spans, kQueries);
  // The one without an answer waits until it is given up.
  EXPECT_GE(Value("", R"(faultline_probe_pending{probe="requests"})"), 1);
}

}  // namespace
}  // namespace faultline
