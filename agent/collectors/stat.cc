// What the kernel did since boot: interrupts, context switches, forks; and how many tasks run or
// wait for the disk now. /proc/stat.
#include "agent/collectors/collector.h"
#include "common/text.h"

namespace faultline {
namespace {

struct Row {
  std::string_view key;
  MetricFamily family;
};
constexpr Row kRows[] = {
    {"intr", {"node_intr_total", v1::METRIC_TYPE_COUNTER, "Interrupts serviced since boot."}},
    {"ctxt",
     {"node_context_switches_total", v1::METRIC_TYPE_COUNTER, "Context switches since boot."}},
    {"btime",
     {"node_boot_time_seconds", v1::METRIC_TYPE_GAUGE, "When the node booted, unix time."}},
    {"processes",
     {"node_forks_total", v1::METRIC_TYPE_COUNTER, "Processes and threads made since boot."}},
    {"procs_running",
     {"node_procs_running", v1::METRIC_TYPE_GAUGE, "Tasks that run or could run."}},
    {"procs_blocked",
     {"node_procs_blocked", v1::METRIC_TYPE_GAUGE, "Tasks that wait for the disk."}},
};

class StatCollector final : public Collector {
 public:
  explicit StatCollector(const HostView& host) : file_(host.fs.Path("/proc/stat")) {}

  Result<void> Collect(Emitter& out) override {
    FAULTLINE_ASSIGN(std::string_view text, file_.Read());
    std::string_view line;
    while (NextLine(text, line)) {
      if (line.starts_with("cpu")) continue;
      const std::string_view key = NextWord(line);
      for (const Row& row : kRows) {
        if (row.key != key) continue;
        const std::string_view word = NextWord(line);
        const auto value = ParseUint(word);
        if (!value) return Fail(ErrorCode::kCorruption, "{}: {} '{}'", file_.path(), key, word);
        out.Sample(row.family, {}, static_cast<double>(*value));
        break;
      }
    }
    return {};
  }

 private:
  PolledFile file_;
};

}  // namespace

Result<std::unique_ptr<Collector>> MakeStat(const LeafContext& context) {
  return std::make_unique<StatCollector>(context.host);
}

}  // namespace faultline
