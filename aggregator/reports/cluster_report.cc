// All nodes at a glance, and what is wrong anywhere.
#include <fmt/format.h>

#include "aggregator/reports/sections.h"
#include "common/text.h"

namespace faultline {
namespace {

constexpr size_t kMaxNodes = 500;

ReportSection NodesSection(const std::vector<NodeState>& nodes, int64_t now) {
  ReportSection section;
  section.title = "Nodes";
  section.table.header = {"node", "state", "last seen", "containers", "off", "clock", "agent"};
  for (const NodeState& node : nodes) {
    if (section.table.rows.size() >= kMaxNodes) break;
    int off = 0;
    for (const v1::LeafStatus& leaf : node.inventory.leaves()) off += !leaf.running();
    section.table.rows.push_back({node.node, node.up ? "up" : "DOWN", DurationText(now - node.last_seen_unix_ns) + " ago",
                                  std::to_string(node.inventory.containers_size()), std::to_string(off),
                                  fmt::format("{:+.1f} ms", static_cast<double>(node.clock_offset_ns) / 1e6), node.version});
  }
  if (nodes.size() > kMaxNodes) section.summary = fmt::format("The first {} of {}.", kMaxNodes, nodes.size());
  return section;
}

ReportSection StoreSection(const Store& store) {
  const StoreStats stats = store.Stats();
  ReportSection section;
  section.title = "Store";
  section.facts = {
      {"series", fmt::format("{} ({} active)", stats.series, stats.active_series)},
      {"samples taken", std::to_string(stats.samples_appended)},
      {"samples refused", std::to_string(stats.samples_rejected)},
      {"log records", std::to_string(stats.log_records)},
      {"on disk", BytesText(static_cast<double>(stats.bytes_on_disk))},
  };
  return section;
}

}  // namespace

Result<Report> MakeClusterReport(const ReportSources& sources) {
  const std::vector<NodeState> nodes = sources.fleet->Nodes();
  const int64_t now = sources.clock->UnixNs();
  const auto up = static_cast<size_t>(std::ranges::count_if(nodes, &NodeState::up));
  Report report;
  report.title = "Cluster";
  report.time_unix_ns = now;
  report.sections.push_back(NodesSection(nodes, now));
  report.sections.push_back(FaultSection("", sources));
  report.sections.push_back(ContainerSection("", sources));
  report.sections.push_back(EventSection("", sources));
  if (sources.store != nullptr) report.sections.push_back(StoreSection(*sources.store));
  report.sections[0].mood = up == nodes.size() ? Mood::kGood : Mood::kBad;
  const ReportSection& faults = report.sections[1];
  report.verdict = fmt::format("{} of {} nodes are up. Faults: {}", up, nodes.size(), faults.summary);
  report.mood = up < nodes.size() ? Mood::kBad : faults.mood;
  return report;
}

}  // namespace faultline
