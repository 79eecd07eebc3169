// Btrfs filesystems: space by kind and layout (/sys/fs/btrfs/<uuid>); size, use and errors of their
// devices, which the kernel tells whoever opens a mount (ioctl). Without a mount to open only the
// sizes are known.
#include <fcntl.h>
#include <linux/btrfs.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <map>

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
constexpr MetricFamily kUnused =
    Gauge("node_btrfs_device_unused_bytes", "Part of the device that is given to nothing yet.");
constexpr MetricFamily kErrors = {"node_btrfs_device_errors_total", v1::METRIC_TYPE_COUNTER,
                                  "Errors of the device, by kind."};
constexpr std::string_view kErrorKinds[] = {"write", "read", "flush", "corruption", "generation"};
constexpr std::string_view kFolder = "/sys/fs/btrfs";
constexpr uint64_t kMaxDeviceId = 1024;
constexpr std::string_view kKinds[] = {"data", "metadata", "system"};

std::string UuidText(const uint8_t* bytes) {
  std::string text;
  for (size_t i = 0; i < BTRFS_UUID_SIZE; ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) text += '-';
    text += fmt::format("{:02x}", bytes[i]);
  }
  return text;
}

struct Device {
  std::string uuid, name;
  double size = 0, used = 0;
  double errors[std::size(kErrorKinds)] = {};
};

// The devices of the filesystem mounted there, and its own identity; nothing when the kernel
// refuses.
std::optional<std::pair<std::string, std::vector<Device>>> AskMount(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return std::nullopt;
  std::optional<std::pair<std::string, std::vector<Device>>> answer;
  btrfs_ioctl_fs_info_args filesystem{};
  if (ioctl(fd, BTRFS_IOC_FS_INFO, &filesystem) == 0) {
    answer.emplace(UuidText(filesystem.fsid), std::vector<Device>());
    // Device ids have gaps.
    for (uint64_t id = 0; id <= std::min<uint64_t>(filesystem.max_id, kMaxDeviceId); ++id) {
      btrfs_ioctl_dev_info_args info{};
      btrfs_ioctl_get_dev_stats stats{};
      info.devid = stats.devid = id;
      stats.nr_items = BTRFS_DEV_STAT_VALUES_MAX;
      if (ioctl(fd, BTRFS_IOC_DEV_INFO, &info) != 0) continue;
      if (ioctl(fd, BTRFS_IOC_GET_DEV_STATS, &stats) != 0) continue;
      const std::string_view node = reinterpret_cast<const char*>(info.path);
      Device device{UuidText(info.uuid), std::string(node.substr(node.rfind('/') + 1)),
                    static_cast<double>(info.total_bytes), static_cast<double>(info.bytes_used)};
      for (size_t i = 0; i < std::size(kErrorKinds); ++i) {
        device.errors[i] = static_cast<double>(stats.values[i]);
      }
      answer->second.push_back(std::move(device));
    }
  }
  close(fd);
  return answer;
}

class BtrfsCollector final : public Collector {
 public:
  explicit BtrfsCollector(const HostView& host)
      : fs_(host.fs), mounts_(host.fs.Path("/proc/1/mounts")) {}

  Result<void> Collect(Emitter& out) override {
    std::optional<std::map<std::string, std::vector<Device>>> mounted;
    for (const std::string& uuid : fs_.List(kFolder).value_or(std::vector<std::string>())) {
      if (uuid.find('-') == std::string::npos) continue;  // features
      if (!mounted) mounted = AskMounts();
      const std::string folder = fmt::format("{}/{}/", kFolder, uuid);
      out.Sample(kInfo, {{"uuid", uuid}, {"label", fs_.ReadTrimmed(folder + "label").value_or("")}},
                 1);
      Emit(out, kReserve, folder + "allocation/global_rsv_size", {{"uuid", uuid}});
      const std::vector<std::string> devices =
          fs_.List(folder + "devices").value_or(std::vector<std::string>());
      for (const std::string_view kind : kKinds) Kind(out, folder, uuid, kind, devices.size());
      const auto known = mounted->find(uuid);
      if (known != mounted->end()) {
        for (const Device& device : known->second) EmitDevice(out, uuid, device);
        continue;
      }
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
  // Filesystem -> devices, of all that are mounted; of several mounts of one filesystem the first
  // that answers.
  std::map<std::string, std::vector<Device>> AskMounts() {
    std::map<std::string, std::vector<Device>> mounted;
    std::vector<std::string> devices, points;
    std::string_view text = mounts_.Read().value_or(""), line;
    while (NextLine(text, line)) {
      const std::string_view device = NextWord(line), point = NextWord(line);
      if (NextWord(line) != "btrfs") continue;
      if (std::find(devices.begin(), devices.end(), device) != devices.end()) continue;
      // A mount point with blanks in its name is left to another mount of the filesystem.
      if (point.find('\\') != std::string_view::npos) continue;
      devices.emplace_back(device);
      points.emplace_back(point);
    }
    for (const std::string& point : points) {
      if (auto answer = AskMount(fs_.Path(point))) mounted.insert(*std::move(answer));
    }
    return mounted;
  }

  static void EmitDevice(Emitter& out, std::string_view uuid, const Device& device) {
    const LabelView labels[] = {
        {"uuid", uuid}, {"device", device.name}, {"btrfs_dev_uuid", device.uuid}};
    out.Sample(kDevice, labels, device.size);
    out.Sample(kUnused, labels, device.size - device.used);
    for (size_t i = 0; i < std::size(kErrorKinds); ++i) {
      const LabelView of_kind[] = {labels[0], labels[1], labels[2], {"type", kErrorKinds[i]}};
      out.Sample(kErrors, of_kind, device.errors[i]);
    }
  }

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
  PolledFile mounts_;
};

}  // namespace

Result<std::unique_ptr<Collector>> MakeBtrfs(const LeafContext& context) {
  return std::make_unique<BtrfsCollector>(context.host);
}

}  // namespace faultline
