// The same samples by remote write to several servers, request by request in turn, so that whoever
// compares them compares the same minutes of the same machine. Prints what each took; who measures
// CPU looks at /proc.
//   store_load_bench capture FILE NODES INTERVAL_S BEGIN_MS STEPS STEPS_PER_REQUEST CONNECTIONS
//   HOST:PORT… store_load_bench synthetic SERIES_PER_NODE NODES INTERVAL_S BEGIN_MS STEPS
//   STEPS_PER_REQUEST CONNECTIONS HOST:PORT…
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <snappy.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <barrier>
#include <bit>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <thread>

#include "aggregator/store/bytes.h"
#include "tests/support/node_metrics.h"

namespace faultline {
namespace {

struct Target {
  std::string host;
  uint16_t port = 0;
  std::atomic<uint64_t> requests = 0;
  std::atomic<uint64_t> refused = 0;
  std::atomic<uint64_t> microseconds = 0;
};

void PutField(std::string& out, char tag, std::string_view bytes) {
  out.push_back(tag);
  store::PutVarint(out, bytes.size());
  out += bytes;
}

std::string EncodeLabels(const Labels& labels) {
  std::string out;
  for (const auto& [name, value] : labels) {
    std::string label;
    PutField(label, '\x0a', name);
    PutField(label, '\x12', value);
    PutField(out, '\x0a', label);
  }
  return out;
}

void EncodeSample(int64_t time_ms, double value, std::string& out) {
  std::string sample = "\x09";
  store::PutFixed64(sample, std::bit_cast<uint64_t>(value));
  sample.push_back('\x10');
  store::PutVarint(sample, static_cast<uint64_t>(time_ms));
  PutField(out, '\x12', sample);
}

// Blocking HTTP/1.1 with keep-alive: as little client as can be, since it shares the machine with
// the servers.
class Connection {
 public:
  explicit Connection(Target& target) : target_(target) {}
  ~Connection() { Close(); }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  void Post(const std::string& body) {
    const auto begin = std::chrono::steady_clock::now();
    bool taken = false;
    for (int attempt = 0; attempt < 3 && !taken; ++attempt) taken = TryPost(body);
    ++target_.requests;
    if (!taken) ++target_.refused;
    target_.microseconds +=
        static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(
                                  std::chrono::steady_clock::now() - begin)
                                  .count());
  }

 private:
  void Close() {
    if (socket_ >= 0) ::close(socket_);
    socket_ = -1;
  }
  bool Open() {
    socket_ = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(target_.port);
    ::inet_pton(AF_INET, target_.host.c_str(), &address.sin_addr);
    const int on = 1;
    ::setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    return ::connect(socket_, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0;
  }
  bool TryPost(const std::string& body) {
    if (socket_ < 0 && !Open()) return Close(), false;
    std::string message =
        "POST /api/v1/write HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/x-protobuf\r\n"
        "Content-Encoding: snappy\r\nX-Prometheus-Remote-Write-Version: 0.1.0\r\nContent-Length: " +
        std::to_string(body.size()) + "\r\n\r\n";
    message += body;
    for (size_t sent = 0; sent < message.size();) {
      const ssize_t n = ::send(socket_, message.data() + sent, message.size() - sent, MSG_NOSIGNAL);
      if (n <= 0) return Close(), false;
      sent += static_cast<size_t>(n);
    }
    std::string reply;
    char buffer[4096];
    while (reply.find("\r\n\r\n") == std::string::npos) {
      const ssize_t n = ::recv(socket_, buffer, sizeof(buffer), 0);
      if (n <= 0) return Close(), false;
      reply.append(buffer, static_cast<size_t>(n));
    }
    if (reply.compare(9, 1, "2") == 0) return true;
    if (errors_++ == 0) std::fprintf(stderr, "port %u: %s\n", target_.port, reply.c_str());
    Close();  // whatever the body is, it is not read
    return false;
  }

  Target& target_;
  int socket_ = -1;
  int errors_ = 0;
};

struct Plan {
  std::vector<RecordedSeries> recorded;
  size_t nodes = 1;
  int64_t interval_ms = 15'000;
  int64_t begin_ms = 0;
  size_t steps = 1;
  size_t steps_per_request = 1;
  size_t connections = 1;
  std::vector<std::unique_ptr<Target>> targets;
};

// Gauges and counters of the kinds that nodes have, for more series than were recorded.
std::vector<RecordedSeries> Synthetic(size_t count) {
  std::vector<RecordedSeries> all;
  std::mt19937_64 random(7);
  for (size_t i = 0; i < count; ++i) {
    RecordedSeries series;
    series.labels = {
        {"__name__", "metric_" + std::to_string(i % 500) + (i % 2 == 0 ? "_total" : "")},
        {"device", "dev" + std::to_string(i / 500)},
        {"mode", "mode" + std::to_string(i % 7)}};
    series.counter = i % 2 == 0;
    series.scale = i % 4 == 0 ? 100 : 1;
    double value = static_cast<double>(random() % 1'000'000);
    for (size_t step = 0; step < 64; ++step) {
      if (i % 3 != 0) value += static_cast<double>(random() % 1000) - (series.counter ? 0 : 500);
      series.values.push_back(value);
    }
    all.push_back(std::move(series));
  }
  return all;
}

class Node {
 public:
  Node(const Plan& plan, size_t number)
      : plan_(plan),
        replay_(plan.recorded, number,
                plan.recorded.front().values.size() > 1000
                    ? static_cast<size_t>(plan.interval_ms / 1000)
                    : 1),
        offset_ms_(static_cast<int64_t>(number * 37 % 1000)) {
    for (const RecordedSeries& series : plan.recorded) {
      Labels labels = series.labels;
      labels.emplace_back("instance", "node-" + std::to_string(number) + ":9100");
      labels.emplace_back("job", "node");
      SortLabels(labels);
      labels_.push_back(EncodeLabels(labels));
    }
  }
  // The body that holds steps [first, first + count).
  std::string Body(size_t first, size_t count, uint64_t& samples) {
    std::vector<std::string> series(labels_.size());
    for (size_t step = first; step < first + count; ++step) {
      replay_.Next(values_);
      const int64_t time_ms =
          plan_.begin_ms + static_cast<int64_t>(step) * plan_.interval_ms + offset_ms_;
      for (size_t i = 0; i < values_.size(); ++i) {
        if (std::isnan(values_[i])) continue;
        EncodeSample(time_ms, values_[i], series[i]);
        ++samples;
      }
    }
    std::string request;
    for (size_t i = 0; i < series.size(); ++i) {
      if (!series[i].empty()) PutField(request, '\x0a', labels_[i] + series[i]);
    }
    std::string body;
    snappy::Compress(request.data(), request.size(), &body);
    return body;
  }

 private:
  const Plan& plan_;
  NodeReplay replay_;
  const int64_t offset_ms_;
  std::vector<std::string> labels_;
  std::vector<double> values_;
};

// Workers keep step, as nodes do: servers refuse who is hours behind others.
void Send(const Plan& plan, size_t worker, std::barrier<>& round, std::atomic<uint64_t>& samples) {
  std::vector<std::unique_ptr<Node>> nodes;
  for (size_t node = worker; node < plan.nodes; node += plan.connections) {
    nodes.push_back(std::make_unique<Node>(plan, node));
  }
  std::vector<std::unique_ptr<Connection>> connections;
  for (const auto& target : plan.targets)
    connections.push_back(std::make_unique<Connection>(*target));
  for (size_t step = 0; step < plan.steps; step += plan.steps_per_request) {
    const size_t count = std::min(plan.steps_per_request, plan.steps - step);
    for (const auto& node : nodes) {
      uint64_t sent = 0;
      const std::string body = node->Body(step, count, sent);
      for (const auto& connection : connections) connection->Post(body);
      samples += sent;
    }
    round.arrive_and_wait();
  }
}

int Main(int argc, char** argv) {
  if (argc < 10) {
    std::fprintf(stderr, "usage: see the head of store_load_bench.cc\n");
    return 2;
  }
  Plan plan;
  const auto number = [&](int i) { return std::strtoull(argv[i], nullptr, 10); };
  plan.recorded =
      std::string_view(argv[1]) == "capture" ? LoadNodeMetrics(argv[2]) : Synthetic(number(2));
  plan.nodes = number(3);
  plan.interval_ms = static_cast<int64_t>(number(4)) * 1000;
  plan.begin_ms = static_cast<int64_t>(number(5));
  plan.steps = number(6);
  plan.steps_per_request = number(7);
  plan.connections = std::min<size_t>(number(8), plan.nodes);
  for (int i = 9; i < argc; ++i) {
    auto& target = *plan.targets.emplace_back(std::make_unique<Target>());
    const std::string address = argv[i];
    target.host = address.substr(0, address.find(':'));
    target.port = static_cast<uint16_t>(std::atoi(address.substr(address.find(':') + 1).c_str()));
  }
  std::atomic<uint64_t> samples = 0;
  std::barrier round(static_cast<ptrdiff_t>(plan.connections));
  std::vector<std::jthread> threads;
  for (size_t i = 0; i < plan.connections; ++i) {
    threads.emplace_back([&plan, &round, &samples, i] { Send(plan, i, round, samples); });
  }
  threads.clear();
  uint64_t refused = 0;
  std::printf("%llu series %llu samples\n",
              static_cast<unsigned long long>(plan.recorded.size() * plan.nodes),
              static_cast<unsigned long long>(samples));
  for (const auto& target : plan.targets) {
    refused += target->refused;
    std::printf("port %u: %llu requests, %llu refused, %.2f s waited\n", target->port,
                static_cast<unsigned long long>(target->requests),
                static_cast<unsigned long long>(target->refused),
                1e-6 * static_cast<double>(target->microseconds));
  }
  return refused == 0 ? 0 : 1;
}

}  // namespace
}  // namespace faultline

int main(int argc, char** argv) { return faultline::Main(argc, argv); }
