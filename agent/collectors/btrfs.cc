// Btrfs filesystems: space by kind and layout, commits, devices (/sys/fs/btrfs/<uuid>).
#include <algorithm>

#include "agent/collectors/collector.h"
#include "common/text.h"

namespace faultline {
namespace {

constexpr MetricFamily Gauge(std::string_view name, std::string_view help) {
  return {name, v1::METRIC_TYPE_GAUGE, help};
}
constexpr MetricFamily kInfo =
    Gauge("node_btrfs_info", "Always 1; the labels say which filesystem this is.");
constexpr MetricFamily kReserve =
    Gauge("node_btrfs_global_rsv_size_bytes", "Size of the global reserve.");
constexpr MetricFamily kReserved =
    Gauge("node_btrfs_reserved_bytes", "Space reserved for this kind of data.");
constexpr MetricFamily kUsed =
    Gauge("node_btrfs_used_bytes", "Space used by this kind of data in this layout.");
constexpr MetricFamily kSize =
    Gauge("node_btrfs_size_bytes", "Space given to this kind of data in this layout.");
constexpr MetricFamily kRatio =
    Gauge("node_btrfs_allocation_ratio", "Bytes on disk for each byte of data in this layout.");
constexpr MetricFamily kDevice =
    Gauge("node_btrfs_device_size_bytes", "Size of a device of the filesystem.");
constexpr std::string_view kFolder = "/sys/fs/btrfs";
constexpr std::string_view kKinds[] = {"data", "metadata", "system"};

class BtrfsCollector final : public Collector {
 public:
  explicit BtrfsCollector(const HostView& host) : fs_(host.fs) {}

  Result<void> Collect(Emitter& out) override {
    for (const std::string& uuid : fs_.List(kFolder).value_or(std::vector<std::string>())) {
      if (uuid.find('-') == std::string::npos) continue;  // features
      const std::string folder = fmt::format("{}/{}/", kFolder, uuid);
      out.Sample(kInfo, {{"uuid", uuid}, {"label", fs_.ReadTrimmed(folder + "label").value_or("")}},
                 1);
      Emit(out, kReserve, folder + "allocation/global_rsv_size", {{"uuid", uuid}});
      const std::vector<std::string> devices =
          fs_.List(folder + "devices").value_or(std::vector<std::string>());
      for (const std::string_view kind : kKinds) Kind(out, folder, uuid, kind, devices.size());
      for (const std::string& device : devices) {
        const auto sectors = fs_.ReadInt(fmt::format("{}devices/{}/size", folder, device));
        if (!sectors) continue;
        out.Sample(kDevice, {{"uuid", uuid}, {"device", device}},
                   static_cast<double>(*sectors) * 512);
      }
    }
    return {};
  }

 private:
  void Emit(Emitter& out, const MetricFamily& family, const std::string& path,
            std::initializer_list<LabelView> labels) const {
    const auto value = fs_.ReadInt(path);
    if (value) out.Sample(family, labels, static_cast<double>(*value));
  }

  void Kind(Emitter& out, const std::string& folder, std::string_view uuid, std::string_view kind,
            size_t devices) const {
    const std::string inner = fmt::format("{}allocation/{}/", folder, kind);
    Emit(out, kReserved, inner + "bytes_reserved", {{"uuid", uuid}, {"block_group_type", kind}});
    for (const std::string& layout : fs_.List(inner).value_or(std::vector<std::string>())) {
      if (!fs_.Exists(inner + layout + "/used_bytes")) continue;
      const std::initializer_list<LabelView> labels = {
          {"uuid", uuid}, {"block_group_type", kind}, {"mode", layout}};
      Emit(out, kUsed, inner + layout + "/used_bytes", labels);
      Emit(out, kSize, inner + layout + "/total_bytes", labels);
      out.Sample(kRatio, labels, Ratio(layout, static_cast<double>(devices)));
    }
  }

  // Copies, or stripes over the devices with one or two of them for parity.
  static double Ratio(std::string_view layout, double devices) {
    if (layout == "dup" || layout == "raid1" || layout == "raid10") return 2;
    if (layout == "raid1c3") return 3;
    if (layout == "raid1c4") return 4;
    if (layout == "raid5") return devices / std::max(devices - 1, 1.0);
    if (layout == "raid6") return devices / std::max(devices - 2, 1.0);
    return 1;  // single, raid0
  }

  const FsRoot& fs_;
};

}  // namespace

Result<std::unique_ptr<Collector>> MakeBtrfs(const LeafContext& context) {
  return std::make_unique<BtrfsCollector>(context.host);
}

}  // namespace faultline
