// Work of each block device: /proc/diskstats; and what udev knows of it (/run/udev/data), re-read
// when it changes.
#include <sys/stat.h>

#include <map>

#include "agent/collectors/collector.h"
#include "common/name_filter.h"
#include "common/text.h"
#include "faultline/v1/config.pb.h"

namespace faultline {
namespace {

struct Column {
  MetricFamily family;
  double factor = 1;
};
constexpr MetricFamily Counter(std::string_view name, std::string_view help) {
  return {name, v1::METRIC_TYPE_COUNTER, help};
}
constexpr MetricFamily Gauge(std::string_view name, std::string_view help) {
  return {name, v1::METRIC_TYPE_GAUGE, help};
}
constexpr double kSector = 512;  // whatever the device's own block size
constexpr double kMs = 1e-3;
// In the order of the columns; older kernels have fewer.
constexpr Column kColumns[] = {
    {Counter("node_disk_reads_completed_total", "Reads done.")},
    {Counter("node_disk_reads_merged_total", "Reads merged with others before they were done.")},
    {Counter("node_disk_read_bytes_total", "Bytes read."), kSector},
    {Counter("node_disk_read_time_seconds_total", "Time spent by all reads."), kMs},
    {Counter("node_disk_writes_completed_total", "Writes done.")},
    {Counter("node_disk_writes_merged_total", "Writes merged with others before they were done.")},
    {Counter("node_disk_written_bytes_total", "Bytes written."), kSector},
    {Counter("node_disk_write_time_seconds_total", "Time spent by all writes."), kMs},
    {Gauge("node_disk_io_now", "Requests that the device works on now.")},
    {Counter("node_disk_io_time_seconds_total", "Time during which the device had work."), kMs},
    {Counter("node_disk_io_time_weighted_seconds_total",
             "Time during which the device had work, times the requests then waiting."),
     kMs},
    {Counter("node_disk_discards_completed_total", "Discards done.")},
    {Counter("node_disk_discards_merged_total",
             "Discards merged with others before they were done.")},
    {Counter("node_disk_discarded_sectors_total", "Sectors discarded.")},
    {Counter("node_disk_discard_time_seconds_total", "Time spent by all discards."), kMs},
    {Counter("node_disk_flush_requests_total", "Flushes done.")},
    {Counter("node_disk_flush_requests_time_seconds_total", "Time spent by all flushes."), kMs},
};
constexpr MetricFamily kInfo =
    Gauge("node_disk_info", "Always 1; the labels say what the device is.");
constexpr MetricFamily kFilesystem = Gauge(
    "node_disk_filesystem_info", "Always 1; the labels say which filesystem is on the device.");
constexpr MetricFamily kMapper = Gauge("node_disk_device_mapper_info",
                                       "Always 1; the labels say what the device mapper calls it.");
constexpr std::pair<std::string_view, MetricFamily> kAta[] = {
    {"ID_ATA_WRITE_CACHE",
     Gauge("node_disk_ata_write_cache", "1 if the ATA disk has a write cache.")},
    {"ID_ATA_WRITE_CACHE_ENABLED",
     Gauge("node_disk_ata_write_cache_enabled", "1 if the ATA disk uses its write cache.")},
    {"ID_ATA_ROTATION_RATE_RPM", Gauge("node_disk_ata_rotation_rate_rpm",
                                       "Rotations per minute of the ATA disk; 0 for solid state.")},
};
constexpr std::string_view kDefaultExclude = R"(^(ram|loop|fd|(h|s|v|xv)d[a-z]|nvme\d+n\d+p)\d+$)";

struct Udev {
  std::pair<int64_t, int64_t> changed{-1, 0};
  std::map<std::string, std::string, std::less<>> properties;
  std::string_view operator[](std::string_view key) const {
    const auto found = properties.find(key);
    return found == properties.end() ? std::string_view() : std::string_view(found->second);
  }
};

class DiskstatsCollector final : public Collector {
 public:
  DiskstatsCollector(const HostView& host, NameFilter exclude)
      : fs_(host.fs), file_(host.fs.Path("/proc/diskstats")), exclude_(std::move(exclude)) {}

  Result<void> Collect(Emitter& out) override {
    FAULTLINE_ASSIGN(std::string_view text, file_.Read());
    ++pass_;
    std::string_view line;
    while (NextLine(text, line)) {
      const std::string_view major = NextWord(line), minor = NextWord(line), name = NextWord(line);
      if (name.empty() || exclude_.Matches(name)) continue;
      auto known = devices_.find(name);
      if (known == devices_.end()) known = devices_.emplace(name, Device()).first;
      known->second.pass = pass_;
      Refresh(known->second.udev, major, minor);
      FAULTLINE_TRY(EmitColumns(out, name, line));
      EmitProperties(out, name, major, minor, known->second.udev);
    }
    std::erase_if(devices_, [&](const auto& entry) { return entry.second.pass != pass_; });
    return {};
  }

 private:
  struct Device {
    Udev udev;
    uint64_t pass = 0;
  };

  Result<void> EmitColumns(Emitter& out, std::string_view name, std::string_view numbers) const {
    for (const Column& column : kColumns) {
      const std::string_view word = NextWord(numbers);
      if (word.empty()) break;
      const auto value = ParseUint(word);
      if (!value) return Fail(ErrorCode::kCorruption, "{}: {}: '{}'", file_.path(), name, word);
      out.Sample(column.family, {{"device", name}}, static_cast<double>(*value) * column.factor);
    }
    return {};
  }

  static void EmitProperties(Emitter& out, std::string_view name, std::string_view major,
                             std::string_view minor, const Udev& udev) {
    std::string_view serial = udev["SCSI_IDENT_SERIAL"];
    if (serial.empty()) serial = udev["ID_SERIAL_SHORT"];
    out.Sample(kInfo,
               {{"device", name},
                {"major", major},
                {"minor", minor},
                {"path", udev["ID_PATH"]},
                {"wwn", udev["ID_WWN"]},
                {"model", udev["ID_MODEL"]},
                {"serial", serial},
                {"revision", udev["ID_REVISION"]}},
               1);
    if (const std::string_view type = udev["ID_FS_TYPE"]; !type.empty()) {
      out.Sample(kFilesystem,
                 {{"device", name},
                  {"type", type},
                  {"usage", udev["ID_FS_USAGE"]},
                  {"uuid", udev["ID_FS_UUID"]},
                  {"version", udev["ID_FS_VERSION"]}},
                 1);
    }
    if (const std::string_view mapper = udev["DM_NAME"]; !mapper.empty()) {
      out.Sample(kMapper,
                 {{"device", name},
                  {"name", mapper},
                  {"uuid", udev["DM_UUID"]},
                  {"vg_name", udev["DM_VG_NAME"]},
                  {"lv_name", udev["DM_LV_NAME"]},
                  {"lv_layer", udev["DM_LV_LAYER"]}},
                 1);
    }
    if (udev["ID_ATA"].empty()) return;
    for (const auto& [key, family] : kAta) {
      if (const auto value = ParseDouble(udev[key])) out.Sample(family, {{"device", name}}, *value);
    }
  }

  void Refresh(Udev& udev, std::string_view major, std::string_view minor) const {
    const std::string path = fmt::format("/run/udev/data/b{}:{}", major, minor);
    struct stat status{};
    if (stat(fs_.Path(path).c_str(), &status) != 0) {
      udev = Udev();
      return;
    }
    const std::pair<int64_t, int64_t> changed{status.st_mtim.tv_sec, status.st_mtim.tv_nsec};
    if (changed == udev.changed) return;
    udev.properties.clear();
    udev.changed = changed;
    const std::string text = fs_.Read(path, size_t{256} << 10).value_or("");
    std::string_view rest = text, line;
    while (NextLine(rest, line)) {
      const size_t equals = line.find('=');
      if (!line.starts_with("E:") || equals == std::string_view::npos) continue;
      udev.properties.emplace(line.substr(2, equals - 2), line.substr(equals + 1));
    }
  }

  const FsRoot& fs_;
  PolledFile file_;
  NameFilter exclude_;
  std::map<std::string, Device, std::less<>> devices_;
  uint64_t pass_ = 0;
};

}  // namespace

Result<std::unique_ptr<Collector>> MakeDiskstats(const LeafContext& context) {
  const auto leaf = context.config.collectors().find("diskstats");
  const bool given = leaf != context.config.collectors().end() && leaf->second.has_exclude();
  FAULTLINE_ASSIGN(NameFilter exclude, NameFilter::Create(given ? leaf->second.exclude()
                                                                : std::string(kDefaultExclude)));
  return std::make_unique<DiskstatsCollector>(context.host, std::move(exclude));
}

}  // namespace faultline
