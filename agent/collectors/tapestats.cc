// Work of SCSI tape drives: /sys/class/scsi_tape/stN/stats.
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
constexpr double kNs = 1e-9;
constexpr Row kRows[] = {
    {"in_flight",
     {"node_tape_io_now", v1::METRIC_TYPE_GAUGE, "Requests that the drive works on now."}},
    {"io_ns",
     Counter("node_tape_io_time_seconds_total", "Time spent by all requests, moving the tape too."),
     kNs},
    {"other_cnt", Counter("node_tape_io_others_total", "Requests that neither read nor write.")},
    {"read_byte_cnt", Counter("node_tape_read_bytes_total", "Bytes read.")},
    {"read_cnt", Counter("node_tape_reads_completed_total", "Reads done.")},
    {"read_ns", Counter("node_tape_read_time_seconds_total", "Time spent by all reads."), kNs},
    {"resid_cnt",
     Counter("node_tape_residual_total", "Reads and writes that moved less than was asked for.")},
    {"write_byte_cnt", Counter("node_tape_written_bytes_total", "Bytes written.")},
    {"write_cnt", Counter("node_tape_writes_completed_total", "Writes done.")},
    {"write_ns", Counter("node_tape_write_time_seconds_total", "Time spent by all writes."), kNs},
};
constexpr std::string_view kFolder = "/sys/class/scsi_tape";

class TapestatsCollector final : public Collector {
 public:
  explicit TapestatsCollector(const HostView& host) : fs_(host.fs) {}

  Result<void> Collect(Emitter& out) override {
    FAULTLINE_ASSIGN(const std::vector<std::string> names, fs_.List(kFolder));
    for (const std::string& name : names) {
      // st0a, nst0 … are the same drive in other modes.
      if (!name.starts_with("st") || !ParseUint(name.substr(2))) continue;
      for (const Row& row : kRows) {
        FAULTLINE_ASSIGN(const int64_t value,
                         fs_.ReadInt(fmt::format("{}/{}/stats/{}", kFolder, name, row.file)));
        out.Sample(row.family, {{"device", name}}, static_cast<double>(value) * row.factor);
      }
    }
    return {};
  }

 private:
  const FsRoot& fs_;
};

}  // namespace

Result<std::unique_ptr<Collector>> MakeTapestats(const LeafContext& context) {
  return std::make_unique<TapestatsCollector>(context.host);
}

}  // namespace faultline
