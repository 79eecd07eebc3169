// Block I/O of every container by device, with cAdvisor's names: v1's blkio.throttle files, v2's
// io.stat. Buffered writes are charged to a container in v2 only.
#include <map>

#include "agent/collectors/collector.h"
#include "agent/containers/cgroup_files.h"
#include "common/text.h"

namespace faultline {
namespace {

constexpr MetricFamily Total(std::string_view name, std::string_view help) {
  return {name, v1::METRIC_TYPE_COUNTER, help};
}
constexpr MetricFamily kReadBytes =
    Total("container_fs_reads_bytes_total", "Cumulative count of bytes read.");
constexpr MetricFamily kWriteBytes =
    Total("container_fs_writes_bytes_total", "Cumulative count of bytes written.");
constexpr MetricFamily kReads =
    Total("container_fs_reads_total", "Cumulative count of reads completed.");
constexpr MetricFamily kWrites =
    Total("container_fs_writes_total", "Cumulative count of writes completed.");

class ContainerIo final : public Collector {
 public:
  ContainerIo(const LeafContext& context, CgroupFiles io)
      : host_(context.host), index_(*context.containers), io_(std::move(io)) {}

  Result<void> Collect(Emitter& out) override {
    io_.BeginPass();
    if (devices_.size() > kMaxDevices) devices_.clear();
    for (const ContainerIdentity& container : index_.containers()) {
      const Origin origin{.cgroup_id = container.cgroup_id, .cgroup_path = container.cgroup_path};
      if (io_.is_v1()) {
        V1(origin, "blkio.throttle.io_service_bytes_recursive", kReadBytes, kWriteBytes, out);
        V1(origin, "blkio.throttle.io_serviced_recursive", kReads, kWrites, out);
      } else {
        V2(origin, out);
      }
    }
    return {};
  }

 private:
  static constexpr size_t kMaxDevices = 256;

  // `8:0 Read 4096`; the last line is a total of all devices.
  void V1(const Origin& origin, std::string_view file, const MetricFamily& reads,
          const MetricFamily& writes, Emitter& out) {
    auto text = io_.Read(origin.cgroup_path, file);
    if (!text) return;
    std::string_view line;
    while (NextLine(*text, line)) {
      const std::string_view device = NextWord(line);
      const std::string_view operation = NextWord(line);
      const auto value = ParseUint(NextWord(line));
      if (!value || (operation != "Read" && operation != "Write")) continue;
      out.SampleOf(origin, operation == "Read" ? reads : writes, {{"device", DeviceName(device)}},
                   static_cast<double>(*value));
    }
  }

  // `8:0 rbytes=4096 wbytes=0 rios=1 wios=0 …`
  void V2(const Origin& origin, Emitter& out) {
    auto text = io_.Read(origin.cgroup_path, "io.stat");
    if (!text) return;
    std::string_view line;
    while (NextLine(*text, line)) {
      const std::string_view device = NextWord(line);
      for (std::string_view word = NextWord(line); !word.empty(); word = NextWord(line)) {
        const size_t equals = word.find('=');
        if (equals == std::string_view::npos) continue;
        const std::string_view key = word.substr(0, equals);
        const MetricFamily* family = key == "rbytes"   ? &kReadBytes
                                     : key == "wbytes" ? &kWriteBytes
                                     : key == "rios"   ? &kReads
                                     : key == "wios"   ? &kWrites
                                                       : nullptr;
        const auto value = ParseUint(word.substr(equals + 1));
        if (family == nullptr || !value) continue;
        out.SampleOf(origin, *family, {{"device", DeviceName(device)}},
                     static_cast<double>(*value));
      }
    }
  }

  // major:minor -> /dev/name, as the block layer calls it.
  const std::string& DeviceName(std::string_view number) {
    const auto found = devices_.find(number);
    if (found != devices_.end()) return found->second;
    std::string name(number);
    if (const auto text = host_.fs.Read(fmt::format("/sys/dev/block/{}/uevent", number))) {
      std::string_view rest = *text, line;
      while (NextLine(rest, line)) {
        if (line.starts_with("DEVNAME=")) name = "/dev/" + std::string(line.substr(8));
      }
    }
    return devices_.emplace(number, std::move(name)).first->second;
  }

  const HostView& host_;
  ContainerIndex& index_;
  CgroupFiles io_;
  std::map<std::string, std::string, std::less<>> devices_;
};

}  // namespace

Result<std::unique_ptr<Collector>> MakeContainerIo(const LeafContext& context) {
  FAULTLINE_ASSIGN(CgroupFiles io, CgroupFiles::Of(context.host, context.containers, "io"));
  return std::make_unique<ContainerIo>(context, std::move(io));
}

}  // namespace faultline
