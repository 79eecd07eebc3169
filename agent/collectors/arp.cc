// How many neighbours each device knows: /proc/net/arp.
#include "agent/collectors/collector.h"
#include "common/text.h"

namespace faultline {
namespace {

constexpr MetricFamily kEntries = {"node_arp_entries", v1::METRIC_TYPE_GAUGE,
                                   "ARP entries of this device."};

class ArpCollector final : public Collector {
 public:
  explicit ArpCollector(const HostView& host) : file_(host.fs.Path("/proc/net/arp")) {}

  Result<void> Collect(Emitter& out) override {
    FAULTLINE_ASSIGN(std::string_view text, file_.Read());
    for (auto& [device, count] : counts_) count = 0;
    std::string_view line;
    NextLine(text, line);  // names of the columns
    while (NextLine(text, line)) {
      const std::string_view trimmed = Trim(line);
      const size_t blank = trimmed.find_last_of(" \t");
      if (blank != std::string_view::npos) Count(trimmed.substr(blank + 1));
    }
    std::erase_if(counts_, [](const auto& entry) { return entry.second == 0; });
    for (const auto& [device, count] : counts_) {
      out.Sample(kEntries, {{"device", device}}, static_cast<double>(count));
    }
    return {};
  }

 private:
  void Count(std::string_view device) {
    for (auto& [known, count] : counts_) {
      if (known == device) {
        ++count;
        return;
      }
    }
    counts_.emplace_back(device, 1);
  }

  PolledFile file_;
  std::vector<std::pair<std::string, uint64_t>> counts_;  // device -> entries
};

}  // namespace

Result<std::unique_ptr<Collector>> MakeArp(const LeafContext& context) {
  return std::make_unique<ArpCollector>(context.host);
}

}  // namespace faultline
