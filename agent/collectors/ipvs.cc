// IP virtual server (kernel load balancer): totals, and connections per backend (/proc/net/ip_vs*).
#include <arpa/inet.h>

#include <array>
#include <map>

#include "agent/collectors/collector.h"
#include "common/text.h"

namespace faultline {
namespace {

constexpr MetricFamily Counter(std::string_view name, std::string_view help) {
  return {name, v1::METRIC_TYPE_COUNTER, help};
}
constexpr MetricFamily Gauge(std::string_view name, std::string_view help) {
  return {name, v1::METRIC_TYPE_GAUGE, help};
}
constexpr MetricFamily kTotals[] = {
    Counter("node_ipvs_connections_total", "Connections made."),
    Counter("node_ipvs_incoming_packets_total", "Packets received."),
    Counter("node_ipvs_outgoing_packets_total", "Packets sent."),
    Counter("node_ipvs_incoming_bytes_total", "Bytes received."),
    Counter("node_ipvs_outgoing_bytes_total", "Bytes sent."),
};
constexpr MetricFamily kBackend[] = {
    Gauge("node_ipvs_backend_weight", "Weight of a backend."),
    Gauge("node_ipvs_backend_connections_active", "Active connections of a backend."),
    Gauge("node_ipvs_backend_connections_inactive", "Inactive connections of a backend."),
};

struct Address {
  std::string host, port;
};

// "C0A80016:0CEA", or "[2620:0000:…:0001]:0050" for IPv6; ports are hexadecimal.
std::optional<Address> ParseAddress(std::string_view text) {
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  const auto port = ParseUint(text.substr(colon + 1), 16);
  std::string_view host = text.substr(0, colon);
  if (!port) return std::nullopt;
  char name[INET6_ADDRSTRLEN] = {};
  if (host.starts_with('[') && host.ends_with(']')) {
    in6_addr address{};
    host = host.substr(1, host.size() - 2);
    if (inet_pton(AF_INET6, std::string(host).c_str(), &address) != 1) return std::nullopt;
    inet_ntop(AF_INET6, &address, name, sizeof name);
  } else {
    const auto number = ParseUint(host, 16);
    if (!number || host.size() != 8) return std::nullopt;
    const in_addr address{htonl(static_cast<uint32_t>(*number))};
    inet_ntop(AF_INET, &address, name, sizeof name);
  }
  return Address{name, std::to_string(*port)};
}

class IpvsCollector final : public Collector {
 public:
  explicit IpvsCollector(const HostView& host)
      : totals_(host.fs.Path("/proc/net/ip_vs_stats")),
        backends_(host.fs.Path("/proc/net/ip_vs")) {}

  Result<void> Collect(Emitter& out) override {
    FAULTLINE_TRY(Totals(out));
    FAULTLINE_ASSIGN(std::string_view text, backends_.Read());
    std::map<std::array<std::string, 6>, std::array<double, 3>> sums;
    std::string_view line, service_protocol;
    Address service;
    std::string mark;
    while (NextLine(text, line)) {
      const std::string_view word = NextWord(line);
      if (word == "TCP" || word == "UDP" || word == "FWM") {
        service_protocol = word;
        const std::string_view name = NextWord(line);
        mark = word == "FWM" ? std::string(name) : std::string();
        service = word == "FWM" ? Address{"", "0"} : ParseAddress(name).value_or(Address());
      } else if (word == "->" && !service_protocol.empty()) {
        const auto remote = ParseAddress(NextWord(line));
        if (!remote) continue;  // names of the columns
        NextWord(line);         // how packets are forwarded
        auto& sum = sums[{service.host, service.port, remote->host, remote->port,
                          std::string(service_protocol), mark}];
        for (double& value : sum)
          value += static_cast<double>(ParseUint(NextWord(line)).value_or(0));
      }
    }
    for (const auto& [key, values] : sums) {
      const LabelView labels[] = {{"local_address", key[0]},  {"local_port", key[1]},
                                  {"remote_address", key[2]}, {"remote_port", key[3]},
                                  {"proto", key[4]},          {"local_mark", key[5]}};
      for (size_t i = 0; i < values.size(); ++i) out.Sample(kBackend[i], labels, values[i]);
    }
    return {};
  }

 private:
  // Two lines of names, then one of hexadecimal numbers.
  Result<void> Totals(Emitter& out) {
    FAULTLINE_ASSIGN(std::string_view text, totals_.Read());
    std::string_view line;
    for (int i = 0; i < 3; ++i) NextLine(text, line);
    for (const MetricFamily& family : kTotals) {
      const auto value = ParseUint(NextWord(line), 16);
      if (!value) return Fail(ErrorCode::kCorruption, "{}: no totals", totals_.path());
      out.Sample(family, {}, static_cast<double>(*value));
    }
    return {};
  }

  PolledFile totals_, backends_;
};

}  // namespace

Result<std::unique_ptr<Collector>> MakeIpvs(const LeafContext& context) {
  return std::make_unique<IpvsCollector>(context.host);
}

}  // namespace faultline
