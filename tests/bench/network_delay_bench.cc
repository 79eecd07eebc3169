// How fast TCP goes through a delayed network, in the sender's own network namespace (where
// queueing in a netfilter hook gives 2 Mb/s, because the sender's window counts what waits there).
// Prints Gb/s of one connection: without a fault, and with delays. network_delay_bench [SECONDS]
// [ROUNDS]
#include <arpa/inet.h>
#include <netinet/tcp.h>

#include <atomic>
#include <thread>

#include "agent/faults/fault_recovery.h"
#include "agent/faults/network_namespace.h"
#include "tests/support/fault_stage.h"
#include "tests/support/paths.h"

namespace {

using namespace faultline;

constexpr uint16_t kSinkPort = 7010;

double Transfer(const FaultStage& stage, pid_t victim, double seconds, const char* congestion) {
  std::atomic<uint64_t> received = 0;
  std::atomic<bool> ready = false;
  std::thread sink([&] {
    (void)InNetworkNamespace(
        fmt::format("/proc/{}/ns/net", stage.peer_pid()), [&]() -> Result<void> {
          const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
          const int on = 1;
          setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
          sockaddr_in address{};
          address.sin_family = AF_INET;
          address.sin_port = htons(kSinkPort);
          if (bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) return {};
          listen(listener, 1);
          ready = true;
          const int client = accept(listener, nullptr, nullptr);
          static char buffer[1 << 20];
          for (ssize_t n = 0; (n = recv(client, buffer, sizeof buffer, 0)) > 0;)
            received += static_cast<uint64_t>(n);
          close(client);
          close(listener);
          return {};
        });
  });
  while (!ready) usleep(1000);
  double rate = 0;
  (void)InNetworkNamespace(fmt::format("/proc/{}/ns/net", victim), [&]() -> Result<void> {
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, congestion, strlen(congestion));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(kSinkPort);
    inet_pton(AF_INET, FaultStage::kPeer, &address.sin_addr);
    if (connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) return {};
    const std::string block(1 << 18, 'b');
    const auto begin = std::chrono::steady_clock::now();
    const auto elapsed = [&] {
      return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    };
    // The window opens during the first second.
    double from_s = 0;
    uint64_t from_bytes = 0;
    while (elapsed() < seconds + 1) {
      if (from_s == 0 && elapsed() >= 1) {
        from_s = elapsed();
        from_bytes = received;
      }
      if (send(fd, block.data(), block.size(), MSG_NOSIGNAL) <= 0) break;
    }
    rate = static_cast<double>(received - from_bytes) * 8 / (elapsed() - from_s) / 1e9;
    close(fd);
    return {};
  });
  sink.join();
  return rate;
}

}  // namespace

int main(int argc, char** argv) {
  const double seconds = argc > 1 ? ParseDouble(argv[1]).value_or(3) : 3;
  const int rounds = argc > 2 ? static_cast<int>(ParseInt(argv[2]).value_or(3)) : 3;
  const SystemClock clock;
  const HostView view = HostView::Real("/", &clock);
  FaultStage stage(view);
  if (!stage.networked()) {
    std::fputs("network namespaces cannot be connected here\n", stderr);
    return 77;
  }
  FaultHost host;
  host.host = &view;
  host.mounts = stage.victim().mounts();
  host.worker_program = BinaryDir() + "/bin/faultline-guardian";
  for (const char* latency : {"", "1ms", "20ms", "100ms"}) {
    for (int round = 0; round < rounds; ++round) {
      FaultPlan plan;
      const auto fault = MakeFault(FaultCatalogue(), "network_delay");
      if (*latency != '\0') {
        FaultSpec spec;
        spec.uid = fmt::format("bench-{}", getpid());
        spec.fault = "network_delay";
        spec.target.set_cgroup(stage.victim().path());
        spec.duration_ms = 60'000;
        spec.parameters =
            *AcceptParameters(FindFault(FaultCatalogue(), "network_delay")->parameters,
                              {{"latency", latency}}, "network_delay");
        plan = *fault->Plan(spec, host);
        if (const auto injected = fault->Inject(plan, host); !injected) {
          std::fprintf(stderr, "%s\n", injected.error().message.c_str());
          return 1;
        }
      }
      const double rate = Transfer(stage, stage.victim().pid(), seconds, "cubic");
      std::printf("delay %-6s %6.2f Gb/s\n", *latency == '\0' ? "none" : latency, rate);
      if (*latency != '\0') (void)fault->Recover(plan, host);
    }
  }
  return 0;
}
