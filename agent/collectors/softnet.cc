// What each CPU's network backlog did: /proc/net/softnet_stat, hexadecimal columns.
#include "agent/collectors/collector.h"
#include "common/text.h"

namespace faultline {
namespace {

constexpr MetricFamily kFamilies[] = {
    {"node_softnet_processed_total", v1::METRIC_TYPE_COUNTER,
     "Packets this CPU took off its backlog."},
    {"node_softnet_dropped_total", v1::METRIC_TYPE_COUNTER,
     "Packets this CPU dropped: its backlog was full."},
    {"node_softnet_times_squeezed_total", v1::METRIC_TYPE_COUNTER,
     "Times this CPU stopped with packets left, as its time or quota was used up."},
};
constexpr size_t kCpuColumn = 12;  // since Linux 5.10; before that, the line's number is the CPU

class SoftnetCollector final : public Collector {
 public:
  explicit SoftnetCollector(const HostView& host) : file_(host.fs.Path("/proc/net/softnet_stat")) {}

  Result<void> Collect(Emitter& out) override {
    FAULTLINE_ASSIGN(std::string_view text, file_.Read());
    std::string_view line;
    for (size_t index = 0; NextLine(text, line); ++index) {
      uint64_t values[std::size(kFamilies)] = {};
      uint64_t cpu = index;
      std::string_view word = NextWord(line);
      for (size_t column = 0; !word.empty(); ++column, word = NextWord(line)) {
        if (column >= std::size(values) && column != kCpuColumn) continue;
        const auto number = ParseUint(word, 16);
        if (!number) return Fail(ErrorCode::kCorruption, "{}: '{}'", file_.path(), word);
        (column == kCpuColumn ? cpu : values[column]) = *number;
      }
      const fmt::format_int name(cpu);
      for (size_t i = 0; i < std::size(kFamilies); ++i) {
        out.Sample(kFamilies[i], {{"cpu", {name.data(), name.size()}}},
                   static_cast<double>(values[i]));
      }
    }
    return {};
  }

 private:
  PolledFile file_;
};

}  // namespace

Result<std::unique_ptr<Collector>> MakeSoftnet(const LeafContext& context) {
  return std::make_unique<SoftnetCollector>(context.host);
}

}  // namespace faultline
