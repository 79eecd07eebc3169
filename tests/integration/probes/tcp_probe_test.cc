#include <netinet/in.h>
#include <sys/socket.h>

#include "tests/support/own_cgroup.h"
#include "tests/support/probe_pass.h"

namespace faultline {
namespace {

constexpr int kConnections = 50;
constexpr int kRefused = 7;
constexpr int kBytes = 1000;  // in each connection, from the client

sockaddr_in Loopback(uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  return address;
}

// Accepts kConnections after telling its port, waits for the other side to close each, and stays
// until told.
int Serve(int port_pipe, int stay_pipe) {
  const int listener = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address = Loopback(0);
  socklen_t length = sizeof address;
  if (bind(listener, reinterpret_cast<sockaddr*>(&address), length) != 0 ||
      listen(listener, 64) != 0)
    return 1;
  getsockname(listener, reinterpret_cast<sockaddr*>(&address), &length);
  const uint16_t port = ntohs(address.sin_port);
  if (write(port_pipe, &port, sizeof port) != sizeof port) return 2;
  char byte;
  for (int i = 0; i < kConnections; ++i) {
    const int connection = accept(listener, nullptr, nullptr);
    if (connection < 0) return 3;
    while (read(connection, &byte, 1) > 0) {
    }
    close(connection);
  }
  if (write(port_pipe, "d", 1) != 1) return 5;  // done
  return read(stay_pipe, &byte, 1) < 0 ? 4 : 0;
}

int Connect(uint16_t port, uint16_t closed_port) {
  const auto dial = [](uint16_t to) {
    const int connection = socket(AF_INET, SOCK_STREAM, 0);
    const sockaddr_in address = Loopback(to);
    const int failed =
        connect(connection, reinterpret_cast<const sockaddr*>(&address), sizeof address);
    const std::string bytes(kBytes, 'x');
    if (failed == 0 && write(connection, bytes.data(), bytes.size()) != kBytes) return -1;
    close(connection);
    return failed;
  };
  for (int i = 0; i < kConnections; ++i) {
    if (dial(port) != 0) return 1;
  }
  for (int i = 0; i < kRefused; ++i) {
    if (dial(closed_port) == 0) return 2;
  }
  return 0;
}

// A port of loopback that nobody listens on: bound by us, not listening.
uint16_t ClosedPort(int& holder) {
  holder = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address = Loopback(0);
  socklen_t length = sizeof address;
  bind(holder, reinterpret_cast<sockaddr*>(&address), length);
  getsockname(holder, reinterpret_cast<sockaddr*>(&address), &length);
  return ntohs(address.sin_port);
}

class TcpProbeTest : public ProbePass {
 protected:
  // The client's way to the server and to the closed port, and the server's row for the client.
  void ExpectEdges(const OwnCgroup& server, const OwnCgroup& client, uint16_t port,
                   uint16_t closed_port) const {
    const auto edge = [](const std::string& name, const std::string& direction,
                         const std::string& peer, const std::string& container) {
      return name + "{direction=\"" + direction + "\",peer=\"" + peer + "\",peer_container=\"" +
             container + "\",peer_namespace=\"\",peer_pod=\"\"}";
    };
    const std::string to = "127.0.0.1:" + std::to_string(port);
    const std::string server_name = server.path().substr(1), client_name = client.path().substr(1);
    EXPECT_EQ(
        Value(client.path(), edge("container_tcp_peer_connections_total", "to", to, server_name)),
        kConnections);
    EXPECT_EQ(
        Value(client.path(), edge("container_tcp_peer_sent_bytes_total", "to", to, server_name)),
        kConnections * kBytes);
    EXPECT_EQ(Value(client.path(), edge("container_tcp_peer_failures_total", "to",
                                        "127.0.0.1:" + std::to_string(closed_port), "")),
              kRefused);
    EXPECT_EQ(Value(server.path(),
                    edge("container_tcp_peer_connections_total", "from", "127.0.0.1", client_name)),
              kConnections);
    // The server has taken what the client sent; a FIN counts as one in the kernel's books.
    const double received = Value(server.path(), edge("container_tcp_peer_received_bytes_total",
                                                      "from", "127.0.0.1", client_name));
    EXPECT_GE(received, kConnections * kBytes);
    EXPECT_LE(received, kConnections * (kBytes + 1));
  }

  void CountsBothSides(bool in_unified) {
    OwnCgroup server(index_->mounts(), "server", {"memory"}, in_unified);
    OwnCgroup client(index_->mounts(), "client", {"memory"}, in_unified);
    ASSERT_TRUE(server.ok() && client.ok());
    int port_pipe[2], stay_pipe[2], holder = -1;
    ASSERT_EQ(pipe(port_pipe), 0);
    ASSERT_EQ(pipe(stay_pipe), 0);
    const pid_t serving = server.Start([&] {
      close(stay_pipe[1]);
      return Serve(port_pipe[1], stay_pipe[0]);
    });
    uint16_t port = 0;
    ASSERT_EQ(read(port_pipe[0], &port, sizeof port), ssize_t{sizeof port});
    const uint16_t closed_port = ClosedPort(holder);
    EXPECT_EQ(client.Run([&] { return Connect(port, closed_port); }), 0);
    char done = 0;
    ASSERT_EQ(read(port_pipe[0], &done, 1), 1);
    Collect();
    EXPECT_EQ(Value(client.path(), "container_tcp_connects_total"), kConnections);
    EXPECT_EQ(Value(client.path(), "container_tcp_connect_failures_total"), kRefused);
    EXPECT_EQ(Value(client.path(), R"(container_tcp_resets_total{direction="received"})"),
              kRefused);
    EXPECT_EQ(Value(client.path(), "container_tcp_accepts_total"), 0);
    EXPECT_EQ(Value(client.path(), R"(container_tcp_sockets{state="established"})"), 0);
    EXPECT_EQ(Value(server.path(), "container_tcp_accepts_total"), kConnections);
    EXPECT_EQ(Value(server.path(), "container_tcp_connects_total"), 0);
    EXPECT_EQ(Value(server.path(), R"(container_tcp_sockets{state="listen"})"), 1);
    EXPECT_EQ(Value(server.path(), R"(container_tcp_sockets{state="syn_recv"})"), 0);
    EXPECT_EQ(Value(client.path(), "container_tcp_connect_duration_seconds_count"), kConnections);
    EXPECT_EQ(Value(client.path(), "container_tcp_sent_bytes_total"), kConnections * kBytes);
    ExpectEdges(server, client, port, closed_port);
    for (const int file : {stay_pipe[1], stay_pipe[0], port_pipe[0], port_pipe[1], holder})
      close(file);
    EXPECT_EQ(server.Wait(serving), 0);
    Collect();
    EXPECT_EQ(Value(server.path(), R"(container_tcp_sockets{state="listen"})"), 0);
    ExpectBooksBalance("tcp");
  }
};

TEST_F(TcpProbeTest, CountsBothSidesByUnifiedCgroup) {
  if (!Make("tcp")) return;
  if (index_->mounts().unified.empty()) GTEST_SKIP() << "no unified cgroup hierarchy";
  CountsBothSides(true);
}

TEST_F(TcpProbeTest, CountsBothSidesByV1MemoryCgroup) {
  if (!Make("tcp")) return;
  if (!index_->mounts().IsV1("memory")) GTEST_SKIP() << "no v1 memory hierarchy";
  CountsBothSides(false);
}

}  // namespace
}  // namespace faultline
