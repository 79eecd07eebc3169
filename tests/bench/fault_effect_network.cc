// Magnitudes of the network, DNS and HTTP faults: by ping, by a TCP transfer, by datagrams of our
// own and by the devices' counters.
#include <cmath>

#include "tests/bench/fault_effect_cases.h"

namespace faultline {
namespace {

using Prepare = std::function<EffectProbe(FaultTrial&)>;

Prepare RttMs(int pings = 60) {
  return [pings](FaultTrial& trial) -> EffectProbe {
    const double before = PingPeer(trial.stage, 20, 0.005).median_ms;
    return
        [&trial, before, pings] { return PingPeer(trial.stage, pings, 0.01).median_ms - before; };
  };
}

// `judge` makes a number of what ping saw.
Prepare Pings(int pings, std::function<double(const Pinged&)> judge) {
  return [=](FaultTrial& trial) -> EffectProbe {
    (void)PingPeer(trial.stage, 2, 0.01);  // neighbours know each other from here on
    return [&trial, pings, judge] { return judge(PingPeer(trial.stage, pings, 0.001)); };
  };
}

double LostPercent(const Pinged& pinged) { return pinged.Lost(); }
double DoubledPercent(const Pinged& pinged) { return 100 * pinged.duplicates / pinged.received; }
double CorrelationOfLosses(const Pinged& pinged) {
  double lost = 0, pairs = 0, both = 0;
  for (size_t i = 0; i + 1 < pinged.times_ms.size(); ++i) {
    const bool now = pinged.times_ms[i] < 0;
    lost += now;
    pairs += now;
    both += now && pinged.times_ms[i + 1] < 0;
  }
  const double share = lost / static_cast<double>(pinged.times_ms.size());
  return 100 * (both / pairs - share) / (1 - share);
}
// An even spread of ± jitter has a standard deviation of jitter / √3.
double SpreadMs(const Pinged& pinged) {
  double sum = 0, squares = 0, n = 0;
  for (const double ms : pinged.times_ms) {
    if (ms < 0) continue;
    sum += ms;
    squares += ms * ms;
    ++n;
  }
  return std::sqrt(3 * (squares / n - sum / n * sum / n));
}
double CorrelationOfTimes(const Pinged& pinged) {
  double mean = 0, n = 0, product = 0, square = 0;
  for (const double ms : pinged.times_ms) {
    if (ms < 0) continue;
    mean += ms;
    ++n;
  }
  mean /= n;
  for (size_t i = 0; i + 1 < pinged.times_ms.size(); ++i) {
    const double one = pinged.times_ms[i], next = pinged.times_ms[i + 1];
    if (one < 0 || next < 0) continue;
    product += (one - mean) * (next - mean);
    square += (one - mean) * (one - mean);
  }
  return 100 * product / square;
}
double AheadPercent(const Pinged& pinged) {
  double ahead = 0, n = 0;
  for (const double ms : pinged.times_ms) {
    if (ms < 0) continue;
    ahead += ms < 10;
    ++n;
  }
  return 100 * ahead / n;
}

// Of 1514 bytes on the wire 1448 are the transfer's.
Prepare WireBytesPerS(size_t bytes) {
  return [bytes](FaultTrial& trial) -> EffectProbe {
    return [&trial, bytes] { return EchoBytesPerS(trial.stage, bytes) * 1514 / 1448; };
  };
}

struct Arrived {
  std::atomic<uint64_t> bytes = 0;
  std::atomic<int64_t> first_ns = 0, half_ns = 0, last_ns = 0;
};

int64_t MonotonicNs() {
  return std::chrono::steady_clock::now().time_since_epoch() / std::chrono::nanoseconds(1);
}

// Datagrams of 1400 bytes (1442 on the wire) sent at once; `judge` sees when how many arrived.
Prepare Burst(int datagrams, std::function<double(const Arrived&)> judge) {
  return [=](FaultTrial& trial) -> EffectProbe {
    return [&trial, datagrams, judge] {
      Arrived arrived;
      std::atomic<bool> ready = false, stop = false;
      std::thread sink([&] {
        (void)InNetworkNamespace(NetworkFileOf(trial.stage.peer_pid()), [&]() -> Result<void> {
          const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
          const int room = 8 << 20;
          setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room);
          sockaddr_in address{};
          address.sin_family = AF_INET;
          address.sin_port = htons(7011);
          (void)!bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address);
          ready = true;
          char buffer[2048];
          while (!stop) {
            pollfd event{fd, POLLIN, 0};
            if (poll(&event, 1, 20) <= 0) continue;
            const ssize_t n = recv(fd, buffer, sizeof buffer, 0);
            const int64_t now = MonotonicNs();
            if (arrived.bytes == 0) arrived.first_ns = now;
            arrived.bytes += static_cast<uint64_t>(n) + 42;
            if (arrived.bytes <= static_cast<uint64_t>(datagrams) * 1442 / 2) arrived.half_ns = now;
            arrived.last_ns = now;
          }
          close(fd);
          return {};
        });
      });
      while (!ready) usleep(1000);
      sleep(2);  // the bucket fills
      double judged = 0;
      (void)InNetworkNamespace(NetworkFileOf(trial.stage.victim().pid()), [&]() -> Result<void> {
        const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(7011);
        inet_pton(AF_INET, FaultStage::kPeer, &address.sin_addr);
        const std::string datagram(1400, 'd');
        for (int i = 0; i < datagrams; ++i)
          (void)sendto(fd, datagram.data(), datagram.size(), 0,
                       reinterpret_cast<const sockaddr*>(&address), sizeof address);
        close(fd);
        return {};
      });
      for (uint64_t seen = UINT64_MAX;
           seen != arrived.bytes;) {  // until nothing comes for a second
        seen = arrived.bytes;
        sleep(1);
      }
      stop = true;
      sink.join();
      judged = judge(arrived);
      return judged;
    };
  };
}

double TotalBytes(const Arrived& arrived) { return static_cast<double>(arrived.bytes); }
double FirstHalfBytesPerS(const Arrived& arrived) {
  return 100 * 1442.0 * 1e9 / static_cast<double>(arrived.half_ns - arrived.first_ns);
}

uint64_t ReceivedByPeer(FaultTrial& trial) {
  const std::string text =
      trial.view.fs.Read(fmt::format("/proc/{}/net/dev", trial.stage.peer_pid())).value_or("");
  std::string_view rest = std::string_view(text).substr(text.find("eth0:") + 5);
  return ParseUint(NextWord(rest)).value_or(0);
}

EffectProbe FloodBytesPerS(FaultTrial& trial) {
  return [&trial] {
    const uint64_t first = ReceivedByPeer(trial);
    const int64_t begin = MonotonicNs();
    sleep(2);
    return static_cast<double>(ReceivedByPeer(trial) - first) * 1e9 /
           static_cast<double>(MonotonicNs() - begin);
  };
}

EffectProbe FloodFlows(FaultTrial& trial) {
  return [&trial] {
    const std::string text =
        trial.view.fs.Read(fmt::format("/proc/{}/net/udp", trial.stage.victim().pid()))
            .value_or("");
    double flows = 0;
    for (size_t at = 0; (at = text.find(":0009 01", at)) != std::string::npos; ++at) ++flows;
    return flows;
  };
}

EffectProbe HttpMs(FaultTrial& trial) {
  (void)Eventually(5000, [&] { return AskVictim(trial.stage, "/").text.starts_with("HTTP"); });
  const double before = AskVictim(trial.stage, "/").ms;
  return [&trial, before] {
    std::vector<double> ms;
    for (int i = 0; i < 5; ++i) ms.push_back(AskVictim(trial.stage, "/").ms);
    std::sort(ms.begin(), ms.end());
    return ms[2] - before;
  };
}

}  // namespace

std::vector<EffectCase> NetworkEffectCases() {
  return {
      {"network_delay", "latency=5ms device=eth0", "RTT, ms more", 5, RttMs()},
      {"network_delay", "latency=20ms device=eth0", "RTT, ms more", 20, RttMs()},
      {"network_delay", "latency=100ms direction=both device=eth0", "RTT, ms more", 200, RttMs(30)},
      {"network_delay", "latency=50ms jitter=20ms device=eth0", "spread, ±ms", 20,
       Pings(2000, SpreadMs)},
      {"network_delay", "latency=50ms jitter=20ms correlation=50 device=eth0", "correlation, %", 50,
       Pings(6000, CorrelationOfTimes)},
      {"network_delay", "latency=20ms reorder.reorder=25 device=eth0", "go ahead, %", 25,
       Pings(4000, AheadPercent)},
      {"network_delay", "latency=20ms reorder.reorder=100 reorder.gap=5 device=eth0", "go ahead, %",
       20, Pings(2000, AheadPercent)},
      {"network_loss", "loss=20 device=eth0", "lost, %", 20, Pings(6000, LostPercent)},
      {"network_loss", "loss=50 device=eth0", "lost, %", 50, Pings(3000, LostPercent)},
      {"network_loss", "loss=30 correlation=50 device=eth0", "correlation, %", 50,
       Pings(12000, CorrelationOfLosses)},
      {"network_duplicate", "duplicate=20 device=eth0", "twice, %", 20,
       Pings(6000, DoubledPercent)},
      {"network_corrupt", "corrupt=20 device=eth0", "damaged, %", 20, Pings(6000, LostPercent)},
      {"network_netem", "delay.latency=30ms device=eth0", "RTT, ms more", 30, RttMs()},
      {"network_netem", "loss.loss=20 device=eth0", "lost, %", 20, Pings(6000, LostPercent)},
      {"network_netem", "duplicate.duplicate=20 device=eth0", "twice, %", 20,
       Pings(6000, DoubledPercent)},
      {"network_netem", "corrupt.corrupt=20 device=eth0", "damaged, %", 20,
       Pings(6000, LostPercent)},
      {"network_netem", "rate.rate=8mbit device=eth0", "bytes/s", 1e6, WireBytesPerS(2'000'000)},
      {"network_rate", "rate=8mbit device=eth0", "bytes/s", 1e6, WireBytesPerS(2'000'000)},
      {"network_rate", "rate=200mbit device=eth0", "bytes/s", 25e6, WireBytesPerS(40'000'000)},
      {"network_bandwidth", "rate=8mbit device=eth0", "bytes/s", 1e6, WireBytesPerS(2'000'000)},
      {"network_bandwidth", "rate=200mbit device=eth0", "bytes/s", 25e6, WireBytesPerS(40'000'000)},
      {"network_bandwidth", "rate=1mbit limit=100000 buffer=20000 device=eth0",
       "bytes that pass or wait", 120'000, Burst(300, TotalBytes)},
      {"network_bandwidth", "rate=1mbit limit=100000 buffer=200000 device=eth0",
       "bytes that pass or wait", 300'000, Burst(600, TotalBytes)},
      {"network_bandwidth", "rate=1mbit limit=1000000 buffer=400000 peakrate=8mbit device=eth0",
       "bytes/s at the peak", 1e6, Burst(200, FirstHalfBytesPerS)},
      {"network_flood", "ip={peer} port=9 rate=8mbit", "bytes/s", 1e6, FloodBytesPerS},
      {"network_flood", "ip={peer} port=9 rate=200mbit parallel=4", "bytes/s", 25e6,
       FloodBytesPerS},
      {"network_flood", "ip={peer} port=9 rate=8mbit parallel=4", "flows", 4, FloodFlows},
      {"http_delay", "port={http_port} delay=200ms", "ms more", 200, HttpMs},
      {"http_delay", "port={http_port} delay=50ms target=Response", "ms more", 50, HttpMs},
  };
}

}  // namespace faultline
