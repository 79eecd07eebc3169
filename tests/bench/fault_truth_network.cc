#include "agent/faults/network_asked.h"
#include "agent/faults/network_probe.h"
#include "tests/bench/fault_truth_cases.h"

namespace faultline {
namespace {

using Look = std::function<bool()>;
using Prepare = std::function<Look(FaultTrial&)>;

constexpr uint16_t kUdpPort = 7012;
constexpr int kAnswerMs = 10;

sockaddr_in AddressOf(const char* host, uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  inet_pton(AF_INET, host, &address.sin_addr);
  return address;
}

struct Nothing {};

// Datagrams that the peer sends back.
class UdpEcho {
 public:
  explicit UdpEcho(const FaultTrial& trial)
      : peer_(trial.view, nullptr, [file = NetworkFileOf(trial.stage.peer_pid())](Nothing&) {
          static const int fd = Open(file, kUdpPort);
          char buffer[256];
          sockaddr_in from{};
          socklen_t size = sizeof from;
          const ssize_t n =
              recvfrom(fd, buffer, sizeof buffer, 0, reinterpret_cast<sockaddr*>(&from), &size);
          if (n > 0)
            (void)sendto(fd, buffer, static_cast<size_t>(n), 0, reinterpret_cast<sockaddr*>(&from),
                         size);
        }) {
    (void)InNetworkNamespace(NetworkFileOf(trial.stage.victim().pid()), [&]() -> Result<void> {
      fd_ = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
      const sockaddr_in to = AddressOf(FaultStage::kPeer, kUdpPort);
      (void)!connect(fd_, reinterpret_cast<const sockaddr*>(&to), sizeof to);
      return {};
    });
    (void)Eventually(5000, [&] { return Answers() == 1; });
  }
  ~UdpEcho() { close(fd_); }
  UdpEcho(const UdpEcho&) = delete;
  UdpEcho& operator=(const UdpEcho&) = delete;
  // How often one datagram comes back within kAnswerMs (or 2 ms after the first).
  int Answers() {
    const uint64_t mine = ++sequence_;
    (void)send(fd_, &mine, sizeof mine, MSG_NOSIGNAL);
    int answers = 0;
    const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(kAnswerMs);
    while (answers < 2 && std::chrono::steady_clock::now() < end) {
      pollfd event{fd_, POLLIN, 0};
      if (poll(&event, 1, answers == 0 ? kAnswerMs : 2) <= 0) break;
      uint64_t heard = 0;
      if (recv(fd_, &heard, sizeof heard, MSG_DONTWAIT) == sizeof heard) answers += heard == mine;
    }
    return answers;
  }

 private:
  static int Open(const std::string& file, uint16_t port) {
    const int network = open(file.c_str(), O_RDONLY | O_CLOEXEC);
    if (setns(network, CLONE_NEWNET) != 0) _exit(1);
    const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    const sockaddr_in address = AddressOf("0.0.0.0", port);
    (void)!bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address);
    return fd;
  }

  SharedChild<Nothing> peer_;
  int fd_ = -1;
  uint64_t sequence_ = 0;
};

Prepare Answered(int asked) {
  return [asked](FaultTrial& trial) -> Look {
    const auto echo = std::make_shared<UdpEcho>(trial);
    return [echo, asked] { return echo->Answers() == asked; };
  };
}

Look FloodArrives(FaultTrial& trial) {
  return [&trial] {
    const auto received = [&] {
      const std::string text =
          trial.view.fs.Read(fmt::format("/proc/{}/net/dev", trial.stage.peer_pid())).value_or("");
      std::string_view rest = std::string_view(text).substr(text.find("eth0:") + 5);
      return ParseUint(NextWord(rest)).value_or(0);
    };
    const uint64_t before = received();
    usleep(8000);
    return received() - before > 2000;
  };
}

Look PortIsTaken(FaultTrial& trial) {
  return [&trial] {
    bool taken = false;
    (void)InNetworkNamespace(NetworkFileOf(trial.stage.victim().pid()), [&]() -> Result<void> {
      const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
      const sockaddr_in address = AddressOf("0.0.0.0", 4711);
      taken = bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0;
      close(fd);
      return {};
    });
    return taken;
  };
}

Look NameIsAnswered(FaultTrial& trial) {
  return [&trial] {
    bool answered = false;
    (void)InNetworkNamespace(NetworkFileOf(trial.stage.victim().pid()), [&]() -> Result<void> {
      answered =
          AskResolver(*ParseRemote(FaultStage::kPeer), "www.example.com", 1, kAnswerMs).has_value();
      return {};
    });
    return answered;
  };
}

Prepare Http(std::function<bool(const HttpAnswer&)> judge) {
  return [judge](FaultTrial& trial) -> Look {
    (void)Eventually(5000, [&] { return AskVictim(trial.stage, "/").text.starts_with("HTTP"); });
    return [&trial, judge] { return judge(AskVictim(trial.stage, "/")); };
  };
}

}  // namespace

std::vector<TruthCase> NetworkTruthCases() {
  const auto code = [](const char* number) {
    return Http([start = std::string("HTTP/1.1 ") + number](const HttpAnswer& answer) {
      return answer.text.starts_with(start);
    });
  };
  const Prepare unanswered = Answered(0);
  return {
      {"network_delay", "latency=50ms device=eth0", "datagrams, late", unanswered},
      {"network_loss", "loss=100 device=eth0", "datagrams, lost", unanswered},
      {"network_corrupt", "corrupt=100 device=eth0", "datagrams, lost", unanswered},
      {"network_duplicate", "duplicate=100 device=eth0", "datagrams, twice", Answered(2)},
      {"network_partition", "direction=both device=eth0", "datagrams, lost", unanswered},
      {"network_netem", "delay.latency=50ms device=eth0", "datagrams, late", unanswered},
      {"network_bandwidth", "rate=1kbit buffer=64 limit=1000 device=eth0", "datagrams, late",
       unanswered},
      {"network_rate", "rate=1kbit device=eth0", "datagrams, late", unanswered},
      {"network_down", "device=eth0", "datagrams, lost", unanswered},
      {"network_flood", "ip={peer} port=9 rate=80mbit", "the peer's device", FloodArrives},
      {"network_port_occupied", "port=4711", "bind", PortIsTaken},
      {"dns_error", "patterns=*.example.com device=eth0", "questions", NameIsAnswered},
      {"dns_random", "patterns=*.example.com device=eth0", "questions", NameIsAnswered},
      {"dns_answer", "patterns=*.example.com addresses=192.0.2.7 device=eth0", "questions",
       NameIsAnswered},
      {"http_abort", "port={http_port}", "requests, cut",
       Http([](const HttpAnswer& answer) { return answer.text.empty(); })},
      {"http_delay", "port={http_port} delay=30ms", "requests, late",
       Http([](const HttpAnswer& answer) { return answer.ms > 25; })},
      {"http_replace", "port={http_port} target=Response replace.code=503", "requests, 503",
       code("503")},
      {"http_patch", "port={http_port} target=Response replace.code=418", "requests, 418",
       code("418")},
  };
}

}  // namespace faultline
