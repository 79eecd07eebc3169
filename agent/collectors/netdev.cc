// Traffic of each network device: /proc/net/dev, and the packets that nobody took from sysfs.
#include <map>

#include "agent/collectors/collector.h"
#include "common/name_filter.h"
#include "common/text.h"
#include "faultline/v1/config.pb.h"

namespace faultline {
namespace {

constexpr MetricFamily Counter(std::string_view name, std::string_view help) {
  return {name, v1::METRIC_TYPE_COUNTER, help};
}
// In the order of the columns.
constexpr MetricFamily kColumns[] = {
    Counter("node_network_receive_bytes_total", "Bytes received."),
    Counter("node_network_receive_packets_total", "Packets received."),
    Counter("node_network_receive_errs_total", "Packets received damaged."),
    Counter("node_network_receive_drop_total", "Packets dropped on receipt."),
    Counter("node_network_receive_fifo_total", "Receive errors: the device's queue ran over."),
    Counter("node_network_receive_frame_total", "Receive errors: length, checksum or alignment."),
    Counter("node_network_receive_compressed_total", "Compressed packets received."),
    Counter("node_network_receive_multicast_total", "Multicast packets received."),
    Counter("node_network_transmit_bytes_total", "Bytes sent."),
    Counter("node_network_transmit_packets_total", "Packets sent."),
    Counter("node_network_transmit_errs_total", "Packets that could not be sent."),
    Counter("node_network_transmit_drop_total", "Packets dropped before sending."),
    Counter("node_network_transmit_fifo_total", "Send errors: the device's queue ran over."),
    Counter("node_network_transmit_colls_total", "Collisions while sending."),
    Counter("node_network_transmit_carrier_total", "Send errors: carrier, heartbeat or abort."),
    Counter("node_network_transmit_compressed_total", "Compressed packets sent."),
};
constexpr MetricFamily kNoHandler =
    Counter("node_network_receive_nohandler_total", "Packets received that no protocol wanted.");
constexpr size_t kMaxOpenFiles = 128;  // devices beyond it cost an open per pass instead

class NetdevCollector final : public Collector {
 public:
  NetdevCollector(const HostView& host, NameFilter exclude)
      : fs_(host.fs), file_(host.fs.Path("/proc/net/dev")), exclude_(std::move(exclude)) {}

  Result<void> Collect(Emitter& out) override {
    {
      FAULTLINE_ASSIGN(std::string_view text, file_.Read());
      ++pass_;
      std::string_view line;
      while (NextLine(text, line)) {
        const size_t colon = line.find(':');
        if (colon == std::string_view::npos) continue;  // names of the columns
        const std::string_view device = Trim(line.substr(0, colon));
        if (device.empty() || exclude_.Matches(device)) continue;
        FAULTLINE_TRY(EmitColumns(out, device, line.substr(colon + 1)));
        Seen(device);
      }
    }
    std::erase_if(no_handler_, [&](const auto& entry) { return entry.second.pass != pass_; });
    for (auto& [device, entry] : no_handler_) EmitNoHandler(out, device, entry.file);
    return {};
  }

 private:
  struct Device {
    PolledFile file;
    uint64_t pass = 0;
  };

  Result<void> EmitColumns(Emitter& out, std::string_view device, std::string_view numbers) const {
    for (const MetricFamily& family : kColumns) {
      const std::string_view word = NextWord(numbers);
      const auto value = ParseUint(word);
      if (!value) return Fail(ErrorCode::kCorruption, "{}: {}: '{}'", file_.path(), device, word);
      out.Sample(family, {{"device", device}}, static_cast<double>(*value));
    }
    return {};
  }

  void Seen(std::string_view device) {
    auto known = no_handler_.find(device);
    if (known == no_handler_.end()) {
      const std::string path = fmt::format("/sys/class/net/{}/statistics/rx_nohandler", device);
      known = no_handler_.emplace(device, Device{PolledFile(fs_.Path(path)), 0}).first;
    }
    known->second.pass = pass_;
  }

  void EmitNoHandler(Emitter& out, std::string_view device, PolledFile& file) const {
    const auto count = ParseUint(Trim(file.Read().value_or("")));
    if (count) out.Sample(kNoHandler, {{"device", device}}, static_cast<double>(*count));
    if (no_handler_.size() > kMaxOpenFiles) file = PolledFile(file.path());
  }

  const FsRoot& fs_;
  PolledFile file_;
  NameFilter exclude_;
  std::map<std::string, Device, std::less<>> no_handler_;
  uint64_t pass_ = 0;
};

}  // namespace

Result<std::unique_ptr<Collector>> MakeNetdev(const LeafContext& context) {
  const auto leaf = context.config.collectors().find("netdev");
  const bool given = leaf != context.config.collectors().end() && leaf->second.has_exclude();
  FAULTLINE_ASSIGN(NameFilter exclude, NameFilter::Create(given ? leaf->second.exclude() : "^lo$"));
  return std::make_unique<NetdevCollector>(context.host, std::move(exclude));
}

}  // namespace faultline
