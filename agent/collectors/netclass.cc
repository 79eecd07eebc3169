// State of each network device: the attributes in /sys/class/net. An attribute that the device does
// not have, or cannot say now (carrier of a device that is down), is left out.
#include <map>

#include "agent/collectors/collector.h"
#include "common/name_filter.h"
#include "common/text.h"
#include "faultline/v1/config.pb.h"

namespace faultline {
namespace {

struct Attribute {
  std::string_view file;
  MetricFamily family;
  double factor = 1;
};
constexpr MetricFamily Gauge(std::string_view name, std::string_view help) {
  return {name, v1::METRIC_TYPE_GAUGE, help};
}
constexpr MetricFamily Counter(std::string_view name, std::string_view help) {
  return {name, v1::METRIC_TYPE_COUNTER, help};
}
constexpr Attribute kAttributes[] = {
    {"addr_assign_type",
     Gauge("node_network_address_assign_type",
           "How the device got its address: 0 permanent, 1 random, 2 stolen, 3 set.")},
    {"carrier", Gauge("node_network_carrier", "1 if the link is there.")},
    {"carrier_changes",
     Counter("node_network_carrier_changes_total", "Times the link came or went.")},
    {"carrier_up_count", Counter("node_network_carrier_up_changes_total", "Times the link came.")},
    {"carrier_down_count",
     Counter("node_network_carrier_down_changes_total", "Times the link went.")},
    {"dev_id", Gauge("node_network_device_id", "Tells devices apart that share an address.")},
    {"dormant",
     Gauge("node_network_dormant", "1 if the device waits for something before it can be used.")},
    {"flags", Gauge("node_network_flags", "Flags of the device.")},
    {"ifindex", Gauge("node_network_iface_id", "Index of the device.")},
    {"iflink",
     Gauge("node_network_iface_link", "Index of the device below; its own if there is none.")},
    {"link_mode",
     Gauge("node_network_iface_link_mode", "0 default, 1 dormant until told otherwise.")},
    {"mtu", Gauge("node_network_mtu_bytes", "Largest packet.")},
    {"name_assign_type",
     Gauge("node_network_name_assign_type",
           "How the device got its name: 1 by the kernel, 2 predictable, 3 by a user, 4 renamed.")},
    {"netdev_group", Gauge("node_network_net_dev_group", "Group of the device.")},
    {"speed",
     Gauge("node_network_speed_bytes", "Bytes per second of the link; negative when unknown."),
     1e6 / 8},
    {"tx_queue_len",
     Gauge("node_network_transmit_queue_length", "Packets that may wait for sending.")},
    {"type", Gauge("node_network_protocol_type", "Hardware type of the device (ARPHRD).")},
};
constexpr std::string_view kTexts[] = {"address", "broadcast", "duplex", "ifalias", "operstate"};
constexpr size_t kOperstate = 4;
constexpr MetricFamily kInfo =
    Gauge("node_network_info", "Always 1; the labels say what is no number.");
constexpr MetricFamily kUp = Gauge("node_network_up", "1 if the device's operstate is up.");
constexpr std::string_view kFolder = "/sys/class/net";
// Each open attribute costs a descriptor and a page of the kernel; devices beyond are opened per
// pass.
constexpr size_t kMaxDevicesKeptOpen = 16;

// "12", "-1" or "0x1003"
std::optional<double> ParseAttribute(std::string_view text) {
  if (text.starts_with("0x")) {
    const auto hex = ParseUint(text.substr(2), 16);
    return hex ? std::optional(static_cast<double>(*hex)) : std::nullopt;
  }
  const auto number = ParseInt(text);
  return number ? std::optional(static_cast<double>(*number)) : std::nullopt;
}

class NetclassCollector final : public Collector {
 public:
  NetclassCollector(const HostView& host, NameFilter exclude)
      : fs_(host.fs), exclude_(std::move(exclude)) {}

  Result<void> Collect(Emitter& out) override {
    FAULTLINE_ASSIGN(const std::vector<std::string> names, fs_.List(kFolder));
    ++pass_;
    for (const std::string& name : names) {
      // Files such as bonding_masters are no devices.
      if (exclude_.Matches(name) || name == "bonding_masters") continue;
      auto [known, is_new] = devices_.try_emplace(name);
      if (is_new) Open(known->second, name);
      known->second.pass = pass_;
      Emit(out, name, known->second);
    }
    std::erase_if(devices_, [&](const auto& entry) { return entry.second.pass != pass_; });
    return {};
  }

 private:
  struct Device {
    std::vector<PolledFile> numbers, texts;
    uint64_t pass = 0;
  };

  void Open(Device& device, const std::string& name) const {
    const std::string folder = fs_.Path(fmt::format("{}/{}/", kFolder, name));
    for (const Attribute& attribute : kAttributes) {
      device.numbers.emplace_back(folder + std::string(attribute.file));
    }
    for (const std::string_view text : kTexts)
      device.texts.emplace_back(folder + std::string(text));
  }

  void Emit(Emitter& out, const std::string& name, Device& device) const {
    for (size_t i = 0; i < std::size(kAttributes); ++i) {
      const auto text = Read(device.numbers[i]);
      if (!text) continue;
      if (const auto value = ParseAttribute(*text)) {
        out.Sample(kAttributes[i].family, {{"device", name}}, *value * kAttributes[i].factor);
      }
    }
    std::string texts[std::size(kTexts)];
    for (size_t i = 0; i < std::size(kTexts); ++i) {
      if (const auto text = Read(device.texts[i])) texts[i] = *text;
    }
    out.Sample(kInfo,
               {{"device", name},
                {kTexts[0], texts[0]},
                {kTexts[1], texts[1]},
                {kTexts[2], texts[2]},
                {kTexts[3], texts[3]},
                {kTexts[4], texts[4]}},
               1);
    out.Sample(kUp, {{"device", name}}, texts[kOperstate] == "up" ? 1 : 0);
  }

  std::optional<std::string_view> Read(PolledFile& file) const {
    const auto text = file.Read();
    if (devices_.size() > kMaxDevicesKeptOpen) file = PolledFile(file.path());
    return text ? std::optional(Trim(*text)) : std::nullopt;
  }

  const FsRoot& fs_;
  NameFilter exclude_;
  std::map<std::string, Device, std::less<>> devices_;
  uint64_t pass_ = 0;
};

}  // namespace

Result<std::unique_ptr<Collector>> MakeNetclass(const LeafContext& context) {
  const auto leaf = context.config.collectors().find("netclass");
  const bool given = leaf != context.config.collectors().end() && leaf->second.has_exclude();
  FAULTLINE_ASSIGN(NameFilter exclude, NameFilter::Create(given ? leaf->second.exclude() : ""));
  return std::make_unique<NetclassCollector>(context.host, std::move(exclude));
}

}  // namespace faultline
