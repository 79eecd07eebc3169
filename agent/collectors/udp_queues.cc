// Bytes that wait in the queues of all UDP sockets: /proc/net/udp and udp6.
#include "agent/collectors/collector.h"
#include "common/text.h"

namespace faultline {
namespace {

constexpr MetricFamily kQueues = {"node_udp_queues", v1::METRIC_TYPE_GAUGE,
                                  "Bytes that wait in the queues of all UDP sockets."};

class UdpQueuesCollector final : public Collector {
 public:
  explicit UdpQueuesCollector(const HostView& host)
      : v4_(host.fs.Path("/proc/net/udp")), v6_(host.fs.Path("/proc/net/udp6")) {}

  Result<void> Collect(Emitter& out) override {
    const auto v4 = CollectFile(out, v4_, "v4");
    if (!v4 && v4.error().code != ErrorCode::kNotFound) return v4;
    const auto v6 = CollectFile(out, v6_, "v6");
    if (!v6 && v6.error().code != ErrorCode::kNotFound) return v6;
    return v4 || v6 ? Result<void>() : v4;
  }

 private:
  static Result<void> CollectFile(Emitter& out, PolledFile& file, std::string_view ip) {
    FAULTLINE_ASSIGN(std::string_view text, file.Read());
    uint64_t tx = 0, rx = 0;
    std::string_view line;
    NextLine(text, line);  // names of the columns
    while (NextLine(text, line)) {
      for (int skipped = 0; skipped < 4; ++skipped) NextWord(line);  // sl local remote state
      const std::string_view queues = NextWord(line);
      const size_t colon = queues.find(':');
      if (colon == std::string_view::npos) continue;
      tx += ParseUint(queues.substr(0, colon), 16).value_or(0);
      rx += ParseUint(queues.substr(colon + 1), 16).value_or(0);
    }
    out.Sample(kQueues, {{"queue", "tx"}, {"ip", ip}}, static_cast<double>(tx));
    out.Sample(kQueues, {{"queue", "rx"}, {"ip", ip}}, static_cast<double>(rx));
    return {};
  }

  PolledFile v4_, v6_;
};

}  // namespace

Result<std::unique_ptr<Collector>> MakeUdpQueues(const LeafContext& context) {
  return std::make_unique<UdpQueuesCollector>(context.host);
}

}  // namespace faultline
