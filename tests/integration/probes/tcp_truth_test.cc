// The TCP probe beside the kernel's own books: everything that happens in a network namespace of the
// test's own is done by one cgroup, so /proc/net/snmp there and TCP_INFO, which ss shows, must say
// the same as the probe does.
#include <linux/filter.h>
#include <linux/tcp.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <fstream>
#include <sstream>

#include "tests/support/own_cgroup.h"
#include "tests/support/probe_pass.h"

namespace faultline {
namespace {

constexpr int kConnections = 200;
constexpr int kRefused = 7;
constexpr int kAborted = 5;  // of kConnections
constexpr int kLossy = 3;

struct Truth {
  double active_opens, passive_opens, attempt_fails, retransmitted, resets_sent;  // snmp
  uint64_t sent_bytes, received_bytes, retransmits;                               // TCP_INFO
};

// The columns of the two lines `Tcp:` of /proc/net/snmp.
Truth ReadSnmp() {
  std::ifstream file("/proc/thread-self/net/snmp");
  std::string line, names, values;
  while (std::getline(file, line)) {
    if (line.starts_with("Tcp: ")) (names.empty() ? names : values) = line;
  }
  std::istringstream name_words(names), value_words(values);
  std::string name, value;
  Truth truth{};
  while (name_words >> name && value_words >> value) {
    if (name == "ActiveOpens") truth.active_opens = std::stod(value);
    if (name == "PassiveOpens") truth.passive_opens = std::stod(value);
    if (name == "AttemptFails") truth.attempt_fails = std::stod(value);
    if (name == "RetransSegs") truth.retransmitted = std::stod(value);
    if (name == "OutRsts") truth.resets_sent = std::stod(value);
  }
  return truth;
}

tcp_info InfoOf(int connection) {
  tcp_info info{};
  socklen_t length = sizeof info;
  getsockopt(connection, IPPROTO_TCP, TCP_INFO, &info, &length);
  return info;
}

class Traffic {
 public:
  // 0, or the number of the step that failed.
  int Run(Truth& truth) {
    if (unshare(CLONE_NEWNET) != 0 || !LoopbackUp()) return 77;
    const int listener = socket(AF_INET, SOCK_STREAM, 0);
    address_.sin_family = AF_INET;
    address_.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address_;
    if (bind(listener, reinterpret_cast<sockaddr*>(&address_), length) != 0) return 1;
    getsockname(listener, reinterpret_cast<sockaddr*>(&address_), &length);
    for (int i = 0; i < kRefused; ++i) {  // nobody listens yet
      if (Dial() >= 0) return 2;
    }
    if (listen(listener, 64) != 0) return 3;
    for (int i = 0; i < kConnections; ++i) {
      const int client = Dial(), server = accept(listener, nullptr, nullptr);
      if (client < 0 || server < 0) return 4;
      if (i < kLossy && !LoseSome(client, server)) return 5;
      if (!Exchange(client, server, 100 + i * 37, 10 + i)) return 6;
      const linger at_once{1, 0};
      if (i >= kConnections - kAborted)
        setsockopt(client, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
      Book(client);
      Book(server);
      close(client);
      char end;
      (void)!read(server, &end, 1);
      close(server);
    }
    close(listener);
    truth = ReadSnmp();
    truth.sent_bytes = sent_bytes_;
    truth.received_bytes = received_bytes_;
    truth.retransmits = retransmits_;
    return 0;
  }

 private:
  static bool LoopbackUp() {
    const int any = socket(AF_INET, SOCK_DGRAM, 0);
    ifreq interface{};
    std::string_view("lo").copy(interface.ifr_name, sizeof interface.ifr_name);
    interface.ifr_flags = IFF_UP;
    const bool is_up = ioctl(any, SIOCSIFFLAGS, &interface) == 0;
    close(any);
    return is_up;
  }
  int Dial() const {
    const int connection = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(connection, reinterpret_cast<const sockaddr*>(&address_), sizeof address_) == 0)
      return connection;
    close(connection);
    return -1;
  }
  static bool Pass(int from, int to, int bytes) {
    const std::string text(static_cast<size_t>(bytes), 'x');
    if (write(from, text.data(), text.size()) != bytes) return false;
    std::string got(text.size(), '\0');
    return recv(to, got.data(), got.size(), MSG_WAITALL) == bytes;
  }
  static bool Exchange(int client, int server, int request, int answer) {
    return Pass(client, server, request) && Pass(server, client, answer);
  }
  // What the client sends is not let in until it was sent again twice.
  static bool LoseSome(int client, int server) {
    sock_filter nothing[] = {{BPF_RET | BPF_K, 0, 0, 0}};
    const sock_fprog program{1, nothing};
    if (setsockopt(server, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) != 0)
      return false;
    if (write(client, "lost", 4) != 4) return false;
    for (int i = 0; i < 1000 && InfoOf(client).tcpi_total_retrans < 2; ++i) usleep(10'000);
    const int ignored = 0;
    setsockopt(server, SOL_SOCKET, SO_DETACH_FILTER, &ignored, sizeof ignored);
    char got[4];
    return recv(server, got, sizeof got, MSG_WAITALL) == 4;
  }
  void Book(int connection) {
    const tcp_info info = InfoOf(connection);
    sent_bytes_ += info.tcpi_bytes_sent - info.tcpi_bytes_retrans;
    received_bytes_ += info.tcpi_bytes_received;
    retransmits_ += info.tcpi_total_retrans;
  }

  sockaddr_in address_{};
  uint64_t sent_bytes_ = 0, received_bytes_ = 0, retransmits_ = 0;
};

class TcpTruthTest : public ProbePass {};

TEST_F(TcpTruthTest, AgreesWithSnmpAndTcpInfo) {
  if (!Make("tcp")) return;
  OwnCgroup cgroup(index_->mounts(), "tcp-truth", {"memory"});
  ASSERT_TRUE(cgroup.ok());
  auto* const truth = static_cast<Truth*>(
      mmap(nullptr, sizeof(Truth), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  ASSERT_NE(truth, MAP_FAILED);
  const int status = cgroup.Run([&] { return Traffic().Run(*truth); });
  if (WEXITSTATUS(status) == 77) GTEST_SKIP() << "no network namespace can be had here";
  ASSERT_EQ(status, 0);
  Collect();
  const auto of = [&](const char* series) { return Value(cgroup.path(), series); };
  // The generator's own numbers, then the second source's.
  EXPECT_EQ(of("container_tcp_connects_total"), kConnections);
  EXPECT_EQ(of("container_tcp_connect_failures_total"), kRefused);
  EXPECT_EQ(of("container_tcp_connects_total") + kRefused, truth->active_opens);
  EXPECT_EQ(of("container_tcp_accepts_total"), truth->passive_opens);
  EXPECT_EQ(of("container_tcp_connect_failures_total"), truth->attempt_fails);
  EXPECT_GE(truth->retransmitted, 2 * kLossy);
  EXPECT_EQ(of("container_tcp_retransmits_total"), truth->retransmitted);
  EXPECT_EQ(of("container_tcp_retransmits_total"), static_cast<double>(truth->retransmits));
  // Those who were refused were so by the node, which has no socket there.
  EXPECT_EQ(of(R"(container_tcp_resets_total{direction="sent"})"), kAborted);
  EXPECT_EQ(truth->resets_sent, kAborted + kRefused);
  EXPECT_EQ(of(R"(container_tcp_resets_total{direction="received"})"), kAborted + kRefused);
  EXPECT_EQ(of("container_tcp_sent_bytes_total"), static_cast<double>(truth->sent_bytes));
  // A FIN counts as a byte in the kernel's books, and is read after we looked.
  const double received = of("container_tcp_received_bytes_total");
  EXPECT_GE(received, static_cast<double>(truth->received_bytes));
  EXPECT_LE(received, static_cast<double>(truth->received_bytes) + 2 * kConnections);
  ExpectBooksBalance("tcp");
  munmap(truth, sizeof(Truth));
}

}  // namespace
}  // namespace faultline
