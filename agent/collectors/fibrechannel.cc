// Fibre Channel host adapters: what they are and what they counted (/sys/class/fc_host).
#include "agent/collectors/collector.h"
#include "common/text.h"

namespace faultline {
namespace {

struct Row {
  std::string_view file;  // hexadecimal; all ones: the adapter does not count this
  MetricFamily family;
};
constexpr MetricFamily Counter(std::string_view name, std::string_view help) {
  return {name, v1::METRIC_TYPE_COUNTER, help};
}
constexpr Row kRows[] = {
    {"dumped_frames",
     Counter("node_fibrechannel_dumped_frames_total", "Frames dropped for lack of buffers.")},
    {"error_frames", Counter("node_fibrechannel_error_frames_total", "Frames with errors.")},
    {"invalid_crc_count",
     Counter("node_fibrechannel_invalid_crc_total", "Frames with a wrong checksum.")},
    {"rx_frames", Counter("node_fibrechannel_rx_frames_total", "Frames received.")},
    {"rx_words", Counter("node_fibrechannel_rx_words_total", "Words received.")},
    {"tx_frames", Counter("node_fibrechannel_tx_frames_total", "Frames sent.")},
    {"tx_words", Counter("node_fibrechannel_tx_words_total", "Words sent.")},
    {"seconds_since_last_reset",
     Counter("node_fibrechannel_seconds_since_last_reset_total", "Time since the port was reset.")},
    {"invalid_tx_word_count",
     Counter("node_fibrechannel_invalid_tx_words_total", "Invalid words sent.")},
    {"link_failure_count",
     Counter("node_fibrechannel_link_failure_total", "Times the link failed.")},
    {"loss_of_sync_count", Counter("node_fibrechannel_loss_of_sync_total",
                                   "Times the port lost bit or word boundaries.")},
    {"loss_of_signal_count",
     Counter("node_fibrechannel_loss_of_signal_total", "Times the signal was lost.")},
    {"nos_count", Counter("node_fibrechannel_nos_total", "Not-operational sequences received.")},
    {"fcp_packet_aborts",
     Counter("node_fibrechannel_fcp_packet_aborts_total", "Packets given up.")},
};
constexpr MetricFamily kInfo = {"node_fibrechannel_info", v1::METRIC_TYPE_GAUGE,
                                "Always 1; the labels say what the adapter is."};
constexpr std::string_view kTexts[] = {
    "speed",       "port_state",    "port_type",         "port_id",          "port_name",
    "fabric_name", "symbolic_name", "supported_classes", "supported_speeds", "dev_loss_tmo"};
constexpr std::string_view kFolder = "/sys/class/fc_host";

std::string_view WithoutHexPrefix(std::string_view text) {
  return text.starts_with("0x") ? text.substr(2) : text;
}

class FibrechannelCollector final : public Collector {
 public:
  explicit FibrechannelCollector(const HostView& host) : fs_(host.fs) {}

  Result<void> Collect(Emitter& out) override {
    FAULTLINE_ASSIGN(const std::vector<std::string> hosts, fs_.List(kFolder));
    for (const std::string& host : hosts) {
      const std::string folder = fmt::format("{}/{}/", kFolder, host);
      EmitTexts(out, folder, host);
      for (const Row& row : kRows) {
        const auto text = fs_.ReadTrimmed(fmt::format("{}statistics/{}", folder, row.file));
        const auto count = text ? ParseUint(WithoutHexPrefix(*text), 16) : std::nullopt;
        if (!count || *count == UINT64_MAX) continue;
        out.Sample(row.family, {{"fc_host", host}}, static_cast<double>(*count));
      }
    }
    return {};
  }

 private:
  void EmitTexts(Emitter& out, const std::string& folder, const std::string& host) const {
    std::string values[std::size(kTexts)];
    LabelView labels[std::size(kTexts) + 1] = {{"fc_host", host}};
    for (size_t i = 0; i < std::size(kTexts); ++i) {
      values[i] = fs_.ReadTrimmed(folder + std::string(kTexts[i])).value_or("");
      // Names and addresses are hexadecimal numbers; node_exporter shows them bare.
      const bool is_address = kTexts[i].starts_with("port_id") || kTexts[i].ends_with("_name");
      labels[i + 1] = {kTexts[i],
                       is_address ? WithoutHexPrefix(values[i]) : std::string_view(values[i])};
    }
    out.Sample(kInfo, LabelViews(labels), 1);
  }

  const FsRoot& fs_;
};

}  // namespace

Result<std::unique_ptr<Collector>> MakeFibrechannel(const LeafContext& context) {
  return std::make_unique<FibrechannelCollector>(context.host);
}

}  // namespace faultline
