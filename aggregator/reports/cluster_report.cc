// All nodes at a glance, and what is wrong anywhere.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "aggregator/reports/health_sections.h"
#include "aggregator/reports/sections.h"
#include "common/text.h"

namespace faultline {
namespace {

constexpr size_t kMaxNodes = 500;

// A node's health at a glance; nodes that are known from their checks but are not here are down.
struct NodeRow {
  std::string name;
  std::optional<NodeState> state;
  std::vector<RankedCondition> ranked;
  CheckCounts counts;
  Mood mood = Mood::kPlain;
};

int Urgency(Mood mood) {
  static constexpr int kOrder[] = {4, 3, 1, 0, 2};  // plain, good, warning, bad, unknown
  return kOrder[static_cast<size_t>(mood)];
}

std::vector<NodeRow> NodeRows(const std::vector<NodeState>& states,
                              const std::vector<NodeHealth>& healths,
                              const std::vector<RankedCondition>& ranked) {
  std::map<std::string, NodeRow> rows;
  for (const NodeState& state : states) rows[state.node].state = state;
  for (const NodeHealth& health : healths) rows[health.node()].counts = CountChecks(health);
  for (const RankedCondition& one : ranked) rows[one.node].ranked.push_back(one);
  std::vector<NodeRow> sorted;
  for (auto& [name, row] : rows) {
    row.name = name;
    const bool up = row.state && row.state->up;
    row.mood = !up ? Mood::kBad : row.ranked.empty() ? Mood::kGood : MoodOf(row.ranked.front());
    sorted.push_back(std::move(row));
  }
  std::ranges::stable_sort(
      sorted, [](const NodeRow& a, const NodeRow& b) { return Urgency(a.mood) < Urgency(b.mood); });
  return sorted;
}

ReportSection NodesSection(const std::vector<NodeRow>& rows, const ReportSources& sources) {
  ReportSection section;
  section.title = "Nodes";
  section.table.header = {"state",     "node", "last 7 days", "checks",
                          "last seen", "off",  "clock",       "agent"};
  const int64_t now = sources.clock->UnixNs();
  for (const NodeRow& row : rows) {
    if (section.table.rows.size() >= kMaxNodes) break;
    const bool up = row.state && row.state->up;
    ReportCell state(!up                          ? "DOWN"
                     : row.mood == Mood::kGood    ? "up"
                     : row.mood == Mood::kBad     ? "problem"
                     : row.mood == Mood::kWarning ? "warning"
                                                  : "unknown");
    state.mood = row.mood;
    ReportCell name(row.name);
    name.link = "/api/v1/reports/node/" + UrlText(row.name) + "?format=html";
    for (size_t i = 0; i < std::min<size_t>(row.ranked.size(), 3); ++i)
      name.note += (i > 0 ? ", " : "") + row.ranked[i].condition.type();
    if (row.ranked.size() > 3) name.note += fmt::format(" and {} more", row.ranked.size() - 3);
    ReportCell life;
    life.strip = ConditionStrip(row.name, sources);
    int off = 0;
    if (row.state) {
      for (const v1::LeafStatus& leaf : row.state->inventory.leaves()) off += !leaf.running();
    }
    section.table.rows.push_back(
        {state, name, life,
         row.counts.all == 0 ? std::string("–")
                             : fmt::format("{} of {} ok", row.counts.ok,
                                           row.counts.all - row.counts.not_applicable),
         row.state ? DurationText(now - row.state->last_seen_unix_ns) + " ago"
                   : std::string("before the last restart"),
         std::to_string(off),
         row.state
             ? fmt::format("{:+.1f} ms", static_cast<double>(row.state->clock_offset_ns) / 1e6)
             : std::string("–"),
         row.state ? row.state->version : std::string("–")});
  }
  section.summary = rows.size() > kMaxNodes
                        ? fmt::format("Worst first; the first {} of {}.", kMaxNodes, rows.size())
                    : rows.size() > 1 ? "Worst first."
                                      : "";
  section.mood = rows.empty() ? Mood::kPlain : rows.front().mood;
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
  const std::vector<NodeState> states = sources.fleet->Nodes();
  const std::vector<NodeHealth> healths =
      sources.checks != nullptr ? sources.checks->Nodes() : std::vector<NodeHealth>();
  const PriorityTable table =
      sources.checks != nullptr ? sources.checks->priorities() : PriorityTable();
  const std::vector<RankedCondition> ranked = RankConditions(healths, table);
  const std::vector<NodeRow> rows = NodeRows(states, healths, ranked);
  const auto up = static_cast<size_t>(std::ranges::count_if(states, &NodeState::up));
  const auto troubled = static_cast<size_t>(std::ranges::count_if(rows, [](const NodeRow& row) {
    return row.mood == Mood::kBad || row.mood == Mood::kWarning;
  }));
  const auto holding =
      static_cast<size_t>(std::ranges::count_if(ranked, [](const RankedCondition& one) {
        return one.condition.status() == v1::CONDITION_STATUS_TRUE;
      }));
  Report report;
  report.title = "Cluster";
  report.origin = sources.origin;
  report.time_unix_ns = sources.clock->UnixNs();
  ReportSection faults = FaultSection("", sources);
  ReportSection losses = LossSection("", sources);
  size_t in_force = 0, ok = 0, judged = 0;
  for (const auto& row : faults.table.rows) in_force += row.size() > 4 && row[4].text == "in force";
  for (const NodeRow& row : rows)
    ok += row.counts.ok, judged += row.counts.all - row.counts.not_applicable;
  report.tiles = {
      {"Nodes up", fmt::format("{} of {}", up, rows.size()), "",
       up == rows.size() ? Mood::kGood : Mood::kBad, "#nodes"},
      {"Nodes in trouble", std::to_string(troubled), "",
       troubled > 0 ? rows.front().mood : Mood::kGood, "#nodes"},
      {"Conditions", std::to_string(holding), fmt::format("{} unknown", ranked.size() - holding),
       ranked.empty() ? Mood::kGood : MoodOf(ranked.front()), "#conditions"},
      {"Checks passing", judged == 0 ? "–" : fmt::format("{} of {}", ok, judged), "",
       judged == 0    ? Mood::kPlain
       : ok == judged ? Mood::kGood
                      : Mood::kWarning,
       "#nodes"},
      {"Faults in force", std::to_string(in_force), "", faults.mood, "#faults"},
      {"Lost on the way",
       losses.table.rows.empty() ? "0" : fmt::format("{} kinds", losses.table.rows.size()),
       "in the last day", losses.mood, "#lost-on-the-way"},
  };
  if (ReportSection steps = StepsSection(ranked, true); !steps.steps.empty())
    report.sections.push_back(std::move(steps));
  report.sections.push_back(NodesSection(rows, sources));
  report.sections.push_back(ConditionSection(ranked, true, sources));
  report.sections.push_back(ChangeSection(healths, sources));
  if (sources.objects != nullptr) {
    report.sections.push_back(ClusterCheckSection(sources));
    if (ReportSection outliers = OutlierSection(sources); !outliers.table.rows.empty())
      report.sections.push_back(std::move(outliers));
  }
  report.sections.push_back(faults);
  report.sections.push_back(ContainerSection("", sources));
  report.sections.push_back(EventSection("", sources));
  report.sections.push_back(std::move(losses));
  if (sources.store != nullptr) {
    report.sections.push_back(StoreSection(*sources.store));
    report.sections.back().folded = true;
  }
  report.verdict =
      fmt::format("{} of {} nodes are up{}. Faults: {}", up, rows.size(),
                  holding > 0 ? fmt::format("; {} in trouble, the worst: {} on {}", troubled,
                                            ranked.front().condition.type(), ranked.front().node)
                              : "",
                  faults.summary);
  report.mood = !rows.empty() && rows.front().mood != Mood::kGood ? rows.front().mood
                : rows.empty()                                    ? Mood::kPlain
                                                                  : faults.mood;
  report.machine = {{"conditions", ConditionsJson(ranked)}};
  return report;
}

}  // namespace faultline
