// Block caches (bcache): the cache set, its backing devices and its caches (/sys/fs/bcache/<uuid>).
#include "agent/collectors/collector.h"
#include "common/text.h"

namespace faultline {
namespace {

struct Row {
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
constexpr Row kSet[] = {
    {"average_key_size",
     Gauge("node_bcache_average_key_size_sectors", "Average size of what a key stands for.")},
    {"btree_cache_size",
     Gauge("node_bcache_btree_cache_size_bytes", "Memory that the tree's cache uses.")},
    {"cache_available_percent",
     Gauge("node_bcache_cache_available_percent", "Part of the cache that is not dirty.")},
    {"congested", Gauge("node_bcache_congested", "Congestion of the cache set.")},
    {"root_usage_percent",
     Gauge("node_bcache_root_usage_percent", "Part of the tree's root that is used.")},
    {"tree_depth", Gauge("node_bcache_tree_depth", "Levels of the tree.")},
    {"internal/active_journal_entries",
     Gauge("node_bcache_active_journal_entries", "Journal entries newer than the index.")},
    {"internal/btree_nodes", Gauge("node_bcache_btree_nodes", "Nodes of the tree.")},
    {"internal/btree_read_average_duration_us",
     Gauge("node_bcache_btree_read_average_duration_seconds", "Average time to read a node."),
     1e-9},
    {"internal/cache_read_races",
     Counter("node_bcache_cache_read_races_total", "Reads whose bucket was reused meanwhile.")},
};
constexpr Row kBacking[] = {
    {"dirty_data",
     Gauge("node_bcache_dirty_data_bytes", "Data in the cache that the backing device lacks.")},
    {"stats_total/bypassed",
     Counter("node_bcache_bypassed_bytes_total", "Data that went past the cache.")},
    {"stats_total/cache_hits",
     Counter("node_bcache_cache_hits_total", "Requests the cache answered.")},
    {"stats_total/cache_misses",
     Counter("node_bcache_cache_misses_total", "Requests the cache could not answer.")},
    {"stats_total/cache_bypass_hits", Counter("node_bcache_cache_bypass_hits_total",
                                              "Hits of requests that meant to go past the cache.")},
    {"stats_total/cache_bypass_misses",
     Counter("node_bcache_cache_bypass_misses_total",
             "Misses of requests that meant to go past the cache.")},
    {"stats_total/cache_miss_collisions",
     Counter("node_bcache_cache_miss_collisions_total",
             "Misses whose data was there when it was inserted.")},
    {"stats_total/cache_readaheads",
     Counter("node_bcache_cache_readaheads_total", "Times data was read ahead.")},
};
// Lines of writeback_rate_debug, "name:  value", with or without "/sec".
constexpr Row kWriteback[] = {
    {"rate:", Gauge("node_bcache_writeback_rate", "Rate of writing back, bytes per second.")},
    {"target:", Gauge("node_bcache_dirty_target_bytes", "Dirty data that is aimed at.")},
    {"proportional:",
     Gauge("node_bcache_writeback_rate_proportional_term", "Proportional part of the rate.")},
    {"integral:", Gauge("node_bcache_writeback_rate_integral_term", "Integral part of the rate.")},
    {"change:", Gauge("node_bcache_writeback_change", "Last change of the rate.")},
};
constexpr Row kCache[] = {
    {"io_errors", Gauge("node_bcache_io_errors", "Errors, forgotten over time.")},
    {"metadata_written",
     Counter("node_bcache_metadata_written_bytes_total", "Bytes written that are no data.")},
    {"written", Counter("node_bcache_written_bytes_total", "Bytes of data written to the cache.")},
};
constexpr std::string_view kFolder = "/sys/fs/bcache";

// "512", "1.2k", "-3.4M": powers of 1024.
std::optional<double> ParseHuman(std::string_view text) {
  double factor = 1;
  constexpr std::string_view kUnits = "kMGTPEZY";
  if (!text.empty()) {
    const size_t unit = kUnits.find(text.back());
    if (unit != std::string_view::npos) {
      text.remove_suffix(1);
      for (size_t i = 0; i <= unit; ++i) factor *= 1024;
    }
  }
  const auto number = ParseDouble(text);
  return number ? std::optional(*number * factor) : std::nullopt;
}

class BcacheCollector final : public Collector {
 public:
  explicit BcacheCollector(const HostView& host) : fs_(host.fs) {}

  Result<void> Collect(Emitter& out) override {
    for (const std::string& uuid : fs_.List(kFolder).value_or(std::vector<std::string>())) {
      if (uuid.find('-') == std::string::npos) continue;  // register and the like
      const std::string folder = fmt::format("{}/{}/", kFolder, uuid);
      const LabelView labels[] = {{"uuid", uuid}};
      for (const Row& row : kSet) Emit(out, row, folder, labels);
      for (const std::string& name : fs_.List(folder).value_or(std::vector<std::string>())) {
        const std::string inner = folder + name + "/";
        if (name.starts_with("bdev")) Backing(out, inner, uuid, name);
        if (name.starts_with("cache") && ParseUint(name.substr(5))) {
          const LabelView cache[] = {{"uuid", uuid}, {"cache_device", name}};
          for (const Row& row : kCache) Emit(out, row, inner, cache);
        }
      }
    }
    return {};
  }

 private:
  void Backing(Emitter& out, const std::string& folder, std::string_view uuid,
               std::string_view name) const {
    const LabelView labels[] = {{"uuid", uuid}, {"backing_device", name}};
    for (const Row& row : kBacking) Emit(out, row, folder, labels);
    const std::string text = fs_.Read(folder + "writeback_rate_debug").value_or("");
    std::string_view rest = text, line;
    while (NextLine(rest, line)) {
      const std::string_view key = NextWord(line);
      std::string_view word = NextWord(line);
      if (word.ends_with("/sec")) word.remove_suffix(4);
      for (const Row& row : kWriteback) {
        const auto value = key == row.file ? ParseHuman(word) : std::nullopt;
        if (value) out.Sample(row.family, labels, *value);
      }
    }
  }

  void Emit(Emitter& out, const Row& row, const std::string& folder, LabelViews labels) const {
    const auto text = fs_.ReadTrimmed(folder + std::string(row.file));
    const auto value = text ? ParseHuman(*text) : std::nullopt;
    if (value) out.Sample(row.family, labels, *value * row.factor);
  }

  const FsRoot& fs_;
};

}  // namespace

Result<std::unique_ptr<Collector>> MakeBcache(const LeafContext& context) {
  return std::make_unique<BcacheCollector>(context.host);
}

}  // namespace faultline
