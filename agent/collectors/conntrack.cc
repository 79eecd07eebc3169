// Connection tracking: entries against the limit, and what the table did (summed over CPUs), from
// /proc/sys/net/netfilter and /proc/net/stat/nf_conntrack.
#include "agent/collectors/collector.h"
#include "common/text.h"

namespace faultline {
namespace {

constexpr MetricFamily Gauge(std::string_view name, std::string_view help) {
  return {name, v1::METRIC_TYPE_GAUGE, help};
}
constexpr MetricFamily kEntries = Gauge("node_nf_conntrack_entries", "Connections tracked now.");
constexpr MetricFamily kLimit =
    Gauge("node_nf_conntrack_entries_limit", "Connections that can be tracked at most.");

struct Row {
  std::string_view column;
  MetricFamily family;
};
constexpr Row kRows[] = {
    {"drop", Gauge("node_nf_conntrack_stat_drop", "Packets dropped because tracking failed.")},
    {"early_drop",
     Gauge("node_nf_conntrack_stat_early_drop", "Entries evicted to make room for new ones.")},
    {"found", Gauge("node_nf_conntrack_stat_found", "Look-ups that found an entry.")},
    {"ignore", Gauge("node_nf_conntrack_stat_ignore", "Packets that were tracked already.")},
    {"insert", Gauge("node_nf_conntrack_stat_insert", "Entries put into the table.")},
    {"insert_failed",
     Gauge("node_nf_conntrack_stat_insert_failed", "Entries refused, as they existed already.")},
    {"invalid", Gauge("node_nf_conntrack_stat_invalid", "Packets that cannot be tracked.")},
    {"search_restart", Gauge("node_nf_conntrack_stat_search_restart",
                             "Look-ups started again because the table was resized.")},
};
constexpr size_t kRowCount = std::size(kRows);

class ConntrackCollector final : public Collector {
 public:
  explicit ConntrackCollector(const HostView& host)
      : entries_(host.fs.Path("/proc/sys/net/netfilter/nf_conntrack_count")),
        limit_(host.fs.Path("/proc/sys/net/netfilter/nf_conntrack_max")),
        stat_(host.fs.Path("/proc/net/stat/nf_conntrack")) {}

  Result<void> Collect(Emitter& out) override {
    FAULTLINE_TRY(EmitNumber(out, kEntries, entries_));
    FAULTLINE_TRY(EmitNumber(out, kLimit, limit_));
    FAULTLINE_ASSIGN(std::string_view text, stat_.Read());
    std::string_view line;
    NextLine(text, line);
    if (line != header_) LearnColumns(line);
    uint64_t sums[kRowCount] = {};
    while (NextLine(text, line)) Add(line, sums);
    for (size_t i = 0; i < kRowCount; ++i) {
      out.Sample(kRows[i].family, {}, static_cast<double>(sums[i]));
    }
    return {};
  }

 private:
  static Result<void> EmitNumber(Emitter& out, const MetricFamily& family, PolledFile& file) {
    FAULTLINE_ASSIGN(const std::string_view text, file.Read());
    const auto number = ParseUint(Trim(text));
    if (!number) return Fail(ErrorCode::kCorruption, "{}: no number", file.path());
    out.Sample(family, {}, static_cast<double>(*number));
    return {};
  }

  void LearnColumns(std::string_view header) {
    header_ = header;
    row_of_column_.clear();
    for (std::string_view name = NextWord(header); !name.empty(); name = NextWord(header)) {
      size_t row = 0;
      while (row < kRowCount && kRows[row].column != name) ++row;
      row_of_column_.push_back(row);
    }
  }

  void Add(std::string_view line, uint64_t* sums) const {
    for (const size_t row : row_of_column_) {
      const std::string_view word = NextWord(line);
      if (row < kRowCount) sums[row] += ParseUint(word, 16).value_or(0);
    }
  }

  PolledFile entries_, limit_, stat_;
  std::string header_;
  std::vector<size_t> row_of_column_;  // kRowCount: a column that nobody wants
};

}  // namespace

Result<std::unique_ptr<Collector>> MakeConntrack(const LeafContext& context) {
  return std::make_unique<ConntrackCollector>(context.host);
}

}  // namespace faultline
