// InfiniBand ports: state, rate and counters (/sys/class/infiniband/<device>/ports/<port>).
#include "agent/collectors/collector.h"
#include "common/text.h"

namespace faultline {
namespace {

struct Row {
  std::string_view file;
  MetricFamily family;
  double factor = 1;
};
constexpr MetricFamily Counter(std::string_view name, std::string_view help) {
  return {name, v1::METRIC_TYPE_COUNTER, help};
}
constexpr MetricFamily Gauge(std::string_view name, std::string_view help) {
  return {name, v1::METRIC_TYPE_GAUGE, help};
}
constexpr double kLane = 4;  // data is counted in words of four bytes, one per lane
constexpr Row kRows[] = {
    {"counters_ext/port_multicast_rcv_packets",
     Counter("node_infiniband_legacy_multicast_packets_received_total",
             "Multicast packets received, old counters.")},
    {"counters_ext/port_multicast_xmit_packets",
     Counter("node_infiniband_legacy_multicast_packets_transmitted_total",
             "Multicast packets sent, old counters.")},
    {"counters_ext/port_rcv_data_64",
     Counter("node_infiniband_legacy_data_received_bytes_total", "Bytes received, old counters."),
     kLane},
    {"counters_ext/port_rcv_packets_64",
     Counter("node_infiniband_legacy_packets_received_total", "Packets received, old counters.")},
    {"counters_ext/port_unicast_rcv_packets",
     Counter("node_infiniband_legacy_unicast_packets_received_total",
             "Unicast packets received, old counters.")},
    {"counters_ext/port_unicast_xmit_packets",
     Counter("node_infiniband_legacy_unicast_packets_transmitted_total",
             "Unicast packets sent, old counters.")},
    {"counters_ext/port_xmit_data_64",
     Counter("node_infiniband_legacy_data_transmitted_bytes_total", "Bytes sent, old counters."),
     kLane},
    {"counters_ext/port_xmit_packets_64",
     Counter("node_infiniband_legacy_packets_transmitted_total", "Packets sent, old counters.")},
    {"counters/excessive_buffer_overrun_errors",
     Counter("node_infiniband_excessive_buffer_overrun_errors_total",
             "Times buffers ran over, again and again.")},
    {"counters/link_downed", Counter("node_infiniband_link_downed_total",
                                     "Times the link could not recover and went down.")},
    {"counters/link_error_recovery", Counter("node_infiniband_link_error_recovery_total",
                                             "Times the link recovered from an error.")},
    {"counters/local_link_integrity_errors",
     Counter("node_infiniband_local_link_integrity_errors_total",
             "Times local errors went beyond their limit.")},
    {"counters/multicast_rcv_packets",
     Counter("node_infiniband_multicast_packets_received_total", "Multicast packets received.")},
    {"counters/multicast_xmit_packets",
     Counter("node_infiniband_multicast_packets_transmitted_total", "Multicast packets sent.")},
    {"counters/port_rcv_constraint_errors",
     Counter("node_infiniband_port_constraint_errors_received_total",
             "Packets that the switch port threw away on receipt.")},
    {"counters/port_xmit_constraint_errors",
     Counter("node_infiniband_port_constraint_errors_transmitted_total",
             "Packets that the switch port did not send.")},
    {"counters/port_rcv_data",
     Counter("node_infiniband_port_data_received_bytes_total", "Bytes received."), kLane},
    {"counters/port_xmit_data",
     Counter("node_infiniband_port_data_transmitted_bytes_total", "Bytes sent."), kLane},
    {"counters/port_rcv_discards",
     Counter("node_infiniband_port_discards_received_total",
             "Packets thrown away on receipt: port down or congested.")},
    {"counters/port_xmit_discards",
     Counter("node_infiniband_port_discards_transmitted_total",
             "Packets thrown away before sending: port down or congested.")},
    {"counters/port_rcv_errors",
     Counter("node_infiniband_port_errors_received_total", "Packets received with an error.")},
    {"counters/port_rcv_packets",
     Counter("node_infiniband_port_packets_received_total", "Packets received, damaged ones too.")},
    {"counters/port_xmit_packets",
     Counter("node_infiniband_port_packets_transmitted_total", "Packets sent, damaged ones too.")},
    {"counters/port_rcv_remote_physical_errors",
     Counter("node_infiniband_port_receive_remote_physical_errors_total",
             "Packets marked bad by the sender.")},
    {"counters/port_rcv_switch_relay_errors",
     Counter("node_infiniband_port_receive_switch_relay_errors_total",
             "Packets that could not be forwarded by the switch.")},
    {"counters/port_xmit_wait", Counter("node_infiniband_port_transmit_wait_total",
                                        "Ticks in which data waited and none was sent.")},
    {"counters/symbol_error", Counter("node_infiniband_symbol_error_total", "Small link errors.")},
    {"counters/unicast_rcv_packets",
     Counter("node_infiniband_unicast_packets_received_total", "Unicast packets received.")},
    {"counters/unicast_xmit_packets",
     Counter("node_infiniband_unicast_packets_transmitted_total", "Unicast packets sent.")},
    {"counters/VL15_dropped", Counter("node_infiniband_vl15_dropped_total",
                                      "Management packets dropped for lack of buffers.")},
};
constexpr MetricFamily kInfo =
    Gauge("node_infiniband_info", "Always 1; the labels say what the device is.");
constexpr MetricFamily kState =
    Gauge("node_infiniband_state_id", "1 down, 2 init, 3 armed, 4 active, 5 active and deferred.");
constexpr MetricFamily kPhysicalState =
    Gauge("node_infiniband_physical_state_id",
          "1 sleep, 2 polling, 3 disabled, 4 training, 5 link up, 6 recovering, 7 test.");
constexpr MetricFamily kRate =
    Gauge("node_infiniband_rate_bytes_per_second", "Highest rate of the port.");
constexpr std::string_view kFolder = "/sys/class/infiniband";

class InfinibandCollector final : public Collector {
 public:
  explicit InfinibandCollector(const HostView& host) : fs_(host.fs) {}

  Result<void> Collect(Emitter& out) override {
    FAULTLINE_ASSIGN(const std::vector<std::string> devices, fs_.List(kFolder));
    for (const std::string& device : devices) {
      const std::string folder = fmt::format("{}/{}", kFolder, device);
      out.Sample(kInfo,
                 {{"device", device},
                  {"board_id", fs_.ReadTrimmed(folder + "/board_id").value_or("")},
                  {"firmware_version", fs_.ReadTrimmed(folder + "/fw_ver").value_or("")},
                  {"hca_type", fs_.ReadTrimmed(folder + "/hca_type").value_or("")}},
                 1);
      for (const std::string& port :
           fs_.List(folder + "/ports").value_or(std::vector<std::string>())) {
        Port(out, fmt::format("{}/ports/{}/", folder, port), device, port);
      }
    }
    return {};
  }

 private:
  void Port(Emitter& out, const std::string& folder, std::string_view device,
            std::string_view port) const {
    const LabelView labels[] = {{"device", device}, {"port", port}};
    // "4: ACTIVE"
    const auto state = [&](std::string_view file, const MetricFamily& family) {
      const std::string text = fs_.ReadTrimmed(folder + std::string(file)).value_or("");
      const auto number = ParseUint(std::string_view(text).substr(0, text.find(':')));
      if (number) out.Sample(family, labels, static_cast<double>(*number));
    };
    state("state", kState);
    state("phys_state", kPhysicalState);
    // "40 Gb/sec (4X QDR)"
    const std::string rate = fs_.ReadTrimmed(folder + "rate").value_or("");
    const auto gigabits = ParseDouble(std::string_view(rate).substr(0, rate.find(' ')));
    if (gigabits) out.Sample(kRate, labels, *gigabits * 1e9 / 8);
    for (const Row& row : kRows) {
      // Some drivers answer "N/A (no PMA)".
      const auto text = fs_.ReadTrimmed(folder + std::string(row.file));
      const auto count = text ? ParseUint(*text) : std::nullopt;
      if (count) out.Sample(row.family, labels, static_cast<double>(*count) * row.factor);
    }
  }

  const FsRoot& fs_;
};

}  // namespace

Result<std::unique_ptr<Collector>> MakeInfiniband(const LeafContext& context) {
  return std::make_unique<InfinibandCollector>(context.host);
}

}  // namespace faultline
