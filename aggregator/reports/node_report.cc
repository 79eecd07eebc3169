// One node: is it there, what is it, what runs on it and what does not and why, what was done to
// it, how it is used.
#include <fmt/format.h>

#include <algorithm>

#include "aggregator/reports/health_sections.h"
#include "aggregator/reports/sections.h"
#include "common/text.h"

namespace faultline {
namespace {

ReportSection Liveness(const NodeState& node, int64_t now) {
  ReportSection section;
  section.title = "Liveness and the way here";
  section.mood = node.up ? Mood::kGood : Mood::kBad;
  section.facts = {
      {"state", node.up ? "up" : "DOWN"},
      {"last seen", DurationText(now - node.last_seen_unix_ns) + " ago"},
      {"known for", DurationText(now - node.first_seen_unix_ns)},
      {"clock offset", fmt::format("{:+.2f} ms", static_cast<double>(node.clock_offset_ns) / 1e6)},
      {"round trip", fmt::format("{:.2f} ms", static_cast<double>(node.round_trip_ns) / 1e6)},
      {"waiting on the node", BytesText(static_cast<double>(node.spool_bytes))},
      {"received",
       fmt::format("{} batches, {}", node.batches, BytesText(static_cast<double>(node.bytes)))},
      {"agent", node.version},
  };
  return section;
}

ReportSection Facts(const NodeState& node) {
  ReportSection section;
  section.title = "Facts";
  for (const auto& [name, value] : node.inventory.facts()) section.facts.emplace_back(name, value);
  std::ranges::sort(section.facts);
  if (section.facts.empty()) section.summary = "The node has not told any yet.";
  return section;
}

ReportSection Leaves(const NodeState& node) {
  ReportSection section;
  section.title = "What observes it";
  section.table.header = {"kind", "name", "state", "reason"};
  std::map<std::string, std::string> running;
  size_t on = 0, off = 0;
  for (const v1::LeafStatus& leaf : node.inventory.leaves()) {
    if (leaf.running()) {
      std::string& names = running[leaf.kind()];
      names += (names.empty() ? "" : ", ") + leaf.name();
      ++on;
    } else {
      section.table.rows.push_back({leaf.kind(), leaf.name(), "off", leaf.reason()});
      ++off;
    }
  }
  for (const auto& [kind, names] : running) section.facts.emplace_back(kind, names);
  section.summary = fmt::format("{} run, {} are off.", on, off);
  section.mood = off > 0 ? Mood::kWarning : on > 0 ? Mood::kGood : Mood::kPlain;
  return section;
}

ReportTile ConditionTile(const std::vector<RankedCondition>& ranked) {
  ReportTile tile{.label = "Conditions",
                  .value = "0",
                  .note = "none holds",
                  .mood = Mood::kGood,
                  .link = "#conditions"};
  size_t holding = 0;
  std::map<std::string_view, size_t> levels;
  for (const RankedCondition& one : ranked) {
    if (one.condition.status() != v1::CONDITION_STATUS_TRUE) continue;
    ++holding;
    ++levels[LevelName(one.condition.level())];
  }
  tile.value = std::to_string(holding);
  if (ranked.empty()) return tile;
  tile.mood = MoodOf(ranked.front());
  tile.note.clear();
  for (const std::string_view level : {"fatal", "critical", "warning", "info"}) {
    if (levels.contains(level))
      tile.note += fmt::format("{}{} {}", tile.note.empty() ? "" : ", ", levels[level], level);
  }
  if (holding < ranked.size())
    tile.note +=
        fmt::format("{}{} unknown", tile.note.empty() ? "" : ", ", ranked.size() - holding);
  return tile;
}

ReportTile CheckTile(const NodeHealth& health) {
  const CheckCounts counts = CountChecks(health);
  const size_t judged = counts.ok + counts.bad + counts.unknown;
  return {.label = "Checks passing",
          .value = counts.all == 0 ? "–" : fmt::format("{} of {}", counts.ok, judged),
          .note = counts.all == 0 ? "none has reported"
                                  : fmt::format("{} not applicable here", counts.not_applicable),
          .mood = counts.bad > 0       ? Mood::kWarning
                  : counts.unknown > 0 ? Mood::kUnknown
                  : counts.ok > 0      ? Mood::kGood
                                       : Mood::kPlain,
          .link = "#checks"};
}

ReportTile ChangeTile(const NodeHealth& health, int64_t now) {
  const auto lately = std::ranges::count_if(health.changes(), [&](const v1::HealthChange& change) {
    return change.time_unix_ns() > now - kStripNs / 7;
  });
  return {.label = "Changes in a day",
          .value = std::to_string(lately),
          .note = fmt::format("{} in the last week",
                              std::ranges::count_if(health.changes(),
                                                    [&](const v1::HealthChange& change) {
                                                      return change.time_unix_ns() > now - kStripNs;
                                                    })),
          .mood = Mood::kPlain,
          .link = "#what-changed"};
}

ReportTile FaultTile(const ReportSection& faults) {
  size_t in_force = 0;
  for (const auto& row : faults.table.rows) in_force += row.size() > 4 && row[4].text == "in force";
  return {.label = "Faults in force",
          .value = std::to_string(in_force),
          .note = faults.table.rows.empty()
                      ? "none in the last day"
                      : fmt::format("{} in the last day", faults.table.rows.size()),
          .mood = faults.mood == Mood::kBad ? Mood::kBad
                  : in_force > 0            ? Mood::kWarning
                                            : Mood::kGood,
          .link = "#faults"};
}

ReportTile LossTile(const ReportSection& losses) {
  return {
      .label = "Lost on the way",
      .value = losses.table.rows.empty() ? "0" : fmt::format("{} kinds", losses.table.rows.size()),
      .note = losses.table.rows.empty() ? "in the last day" : "see what counted them",
      .mood = losses.mood,
      .link = "#lost-on-the-way"};
}

ReportTile GapTile(const ReportSection& leaves) {
  return {.label = "Not observed",
          .value = std::to_string(leaves.table.rows.size()),
          .note = leaves.table.rows.empty() ? "everything runs" : "collectors or probes off",
          .mood = leaves.table.rows.empty() ? Mood::kGood : Mood::kPlain,
          .link = "#what-observes-it"};
}

// What matters most, in one sentence.
void Judge(const NodeState& node, const std::vector<RankedCondition>& ranked,
           const CheckCounts& counts, const ReportSection& faults, int64_t now, Report& report) {
  const auto holding =
      static_cast<size_t>(std::ranges::count_if(ranked, [](const RankedCondition& one) {
        return one.condition.status() == v1::CONDITION_STATUS_TRUE &&
               one.condition.type() != kNodeNotReady;
      }));
  if (!node.up) {
    report.verdict = fmt::format("The node is down: not heard of for {}.",
                                 DurationText(now - node.last_seen_unix_ns));
    report.mood = Mood::kBad;
  } else if (holding > 0) {
    const RankedCondition& worst = ranked.front();
    report.verdict = fmt::format(
        "{}{}{}, for {}.{}", worst.condition.type(), worst.condition.message().empty() ? "" : ": ",
        worst.condition.message(), DurationText(now - worst.condition.since_unix_ns()),
        holding > 1 ? fmt::format(" {} more {}.", holding - 1,
                                  holding == 2 ? "condition holds" : "conditions hold")
                    : "");
    report.mood = MoodOf(worst);
  } else if (faults.mood == Mood::kBad || faults.mood == Mood::kWarning) {
    report.verdict = "The node is up. Faults: " + faults.summary;
    report.mood = faults.mood;
  } else if (!ranked.empty()) {
    report.verdict = fmt::format("The node is up; {} of its checks cannot tell.", ranked.size());
    report.mood = Mood::kUnknown;
  } else {
    report.verdict =
        counts.ok > 0
            ? fmt::format(
                  "The node is up: all {} checks that apply pass, and no fault is in force.",
                  counts.ok)
            : fmt::format("The node is up, with {} containers and no fault in force.",
                          node.inventory.containers_size());
    report.mood = Mood::kGood;
  }
}

std::string Subtitle(const NodeState& node) {
  std::string text;
  const auto& facts = node.inventory.facts();
  const auto add = [&](const char* name, std::string_view before, std::string_view after) {
    const auto at = facts.find(name);
    if (at == facts.end() || at->second.empty()) return;
    text += fmt::format("{}{}{}{}", text.empty() ? "" : " · ", before, at->second, after);
  };
  add("os", "", "");
  add("kernel", "kernel ", "");
  add("cpus", "", " CPUs");
  if (const auto at = facts.find("memory_bytes"); at != facts.end()) {
    if (const auto bytes = ParseDouble(at->second))
      text += (text.empty() ? "" : " · ") + BytesText(*bytes) + " memory";
  }
  return text + fmt::format("{}{} containers", text.empty() ? "" : " · ",
                            node.inventory.containers_size());
}

}  // namespace

Result<Report> MakeNodeReport(const std::string& name, const ReportSources& sources) {
  FAULTLINE_ASSIGN(const NodeState node, sources.fleet->Node(name));
  const int64_t now = sources.clock->UnixNs();
  const std::optional<NodeHealth> known =
      sources.checks != nullptr ? sources.checks->Node(name) : std::nullopt;
  const NodeHealth health = known.value_or(NodeHealth(name));
  const PriorityTable table =
      sources.checks != nullptr ? sources.checks->priorities() : PriorityTable();
  const std::vector<RankedCondition> ranked = RankConditions({health}, table);
  Report report;
  report.title = "Node " + name;
  report.subtitle = Subtitle(node);
  report.origin = sources.origin;
  report.time_unix_ns = now;
  ReportSection faults = FaultSection(name, sources);
  ReportSection losses = LossSection(name, sources);
  ReportSection leaves = Leaves(node);
  Judge(node, ranked, CountChecks(health), faults, now, report);
  report.tiles = {ConditionTile(ranked), CheckTile(health), ChangeTile(health, now),
                  FaultTile(faults),     LossTile(losses),  GapTile(leaves)};
  if (ReportSection steps = StepsSection(ranked, false); !steps.steps.empty())
    report.sections.push_back(std::move(steps));
  report.sections.push_back(ConditionSection(ranked, false, sources));
  report.sections.push_back(ChangeSection({health}, sources));
  report.sections.push_back(CheckSection(health, sources));
  report.sections.push_back(ChartSection(name, sources));
  report.sections.push_back(std::move(faults));
  report.sections.push_back(ContainerSection(name, sources));
  report.sections.push_back(EventSection(name, sources));
  report.sections.push_back(std::move(losses));
  leaves.folded = true;
  report.sections.push_back(std::move(leaves));
  for (ReportSection section : {Liveness(node, now), Facts(node)}) {
    section.folded = true;
    report.sections.push_back(std::move(section));
  }
  report.machine = {{"node", name},
                    {"up", node.up},
                    {"conditions", ConditionsJson(ranked)},
                    {"checks", ChecksJson(health)}};
  return report;
}

}  // namespace faultline
