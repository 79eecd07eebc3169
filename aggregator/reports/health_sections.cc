#include "aggregator/reports/health_sections.h"

#include <fmt/format.h>

#include <algorithm>

#include "aggregator/reports/sections.h"
#include "common/text.h"

namespace faultline {
namespace {

namespace json = boost::json;

constexpr size_t kMaxSteps = 5;
constexpr size_t kMaxConditions = 60;
constexpr size_t kMaxChanges = 40;
constexpr size_t kMaxChecks = 400;

std::string When(int64_t unix_ns) { return FormatTime(unix_ns).substr(0, 16).replace(10, 1, " "); }

std::string Ago(int64_t unix_ns, int64_t now) {
  return DurationText(std::max<int64_t>(now - unix_ns, 0));
}

// The history of a rule, as anybody can ask for it.
std::string HistoryLink(const std::string& node, const std::string& rule) {
  return fmt::format("/api/v1/checks/results?node={}&rule={}", UrlText(node), UrlText(rule));
}

std::string JoinedWith(std::string_view separator, std::initializer_list<std::string> parts) {
  std::string text;
  for (const std::string& part : parts) {
    if (!part.empty()) text += (text.empty() ? "" : std::string(separator)) + part;
  }
  return text;
}

// What a reader wants below a condition's or check's name.
std::string Detail(const v1::CheckResult& result) {
  const std::string measured =
      result.current().empty()
          ? ""
          : "is " + result.current() +
                (result.expected().empty() ? "" : ", expected " + result.expected());
  const std::string pod =
      result.pod().empty() ? "" : "pod " + result.namespace_() + "/" + result.pod();
  return JoinedWith(" · ", {result.message(), measured,
                            result.device().empty() ? "" : "on " + result.device(), pod});
}

}  // namespace

std::vector<RankedCondition> RankConditions(const std::vector<NodeHealth>& nodes,
                                            const PriorityTable& table) {
  std::vector<RankedCondition> ranked;
  for (const NodeHealth& health : nodes) {
    for (const auto& [type, condition] : health.conditions()) {
      if (condition.status() == v1::CONDITION_STATUS_FALSE) continue;
      ranked.push_back({health.node(), condition, table.Of(type, condition.level())});
    }
  }
  std::ranges::stable_sort(ranked, [](const RankedCondition& a, const RankedCondition& b) {
    const bool a_true = a.condition.status() == v1::CONDITION_STATUS_TRUE;
    const bool b_true = b.condition.status() == v1::CONDITION_STATUS_TRUE;
    if (a_true != b_true) return a_true;
    if (a.priority.priority != b.priority.priority)
      return a.priority.priority < b.priority.priority;
    if (a.condition.level() != b.condition.level())
      return a.condition.level() > b.condition.level();
    return a.condition.since_unix_ns() < b.condition.since_unix_ns();
  });
  return ranked;
}

Mood MoodOf(const RankedCondition& ranked) {
  if (ranked.condition.status() != v1::CONDITION_STATUS_TRUE) return Mood::kUnknown;
  return ranked.priority.priority <= kLastEmergency ? Mood::kBad : Mood::kWarning;
}

Mood MoodOf(v1::CheckVerdict verdict, v1::CheckLevel level) {
  switch (verdict) {
    case v1::CHECK_VERDICT_OK:
      return Mood::kGood;
    case v1::CHECK_VERDICT_DEGRADED:
      return Mood::kWarning;
    case v1::CHECK_VERDICT_PROBLEM:
      return level >= v1::CHECK_LEVEL_CRITICAL ? Mood::kBad : Mood::kWarning;
    case v1::CHECK_VERDICT_UNKNOWN:
    case v1::CHECK_VERDICT_TIMEOUT:
      return Mood::kUnknown;
    default:
      return Mood::kPlain;
  }
}

CheckCounts CountChecks(const NodeHealth& health) {
  CheckCounts counts;
  for (const auto& [rule, memory] : health.rules()) {
    if (memory.last().kind() == v1::CHECK_KIND_EVENT) continue;
    ++counts.all;
    const v1::CheckVerdict verdict =
        memory.silent() ? v1::CHECK_VERDICT_UNKNOWN : memory.last().verdict();
    counts.ok += verdict == v1::CHECK_VERDICT_OK;
    counts.bad += IsBad(verdict);
    counts.unknown += CannotTell(verdict);
    counts.not_applicable +=
        verdict == v1::CHECK_VERDICT_NOT_APPLICABLE || verdict == v1::CHECK_VERDICT_SKIPPED;
  }
  return counts;
}

ReportSection StepsSection(const std::vector<RankedCondition>& ranked, bool with_node) {
  ReportSection section;
  section.title = "What to do first";
  for (const RankedCondition& one : ranked) {
    const v1::Condition& condition = one.condition;
    if (section.steps.size() >= kMaxSteps) break;
    if (condition.suggestion().empty() && condition.action().empty()) continue;
    ReportCell& step = section.steps.emplace_back();
    const std::string text =
        condition.suggestion().empty() ? condition.action() : condition.suggestion();
    step.text = text;
    step.note = JoinedWith(" · ", {with_node ? one.node : "", condition.type(), condition.device(),
                                   condition.suggestion().empty() ? "" : condition.action()});
    section.mood = section.mood == Mood::kBad ? Mood::kBad : MoodOf(one);
  }
  return section;
}

ReportSection ConditionSection(const std::vector<RankedCondition>& ranked, bool with_node,
                               const ReportSources& sources) {
  ReportSection section;
  section.title = "Conditions";
  section.table.header = {"level", "condition", "priority", "since"};
  if (with_node) section.table.header.insert(section.table.header.begin() + 2, "node");
  const int64_t now = sources.clock->UnixNs();
  size_t holding = 0, load = 0;
  for (const RankedCondition& one : ranked) {
    const v1::Condition& condition = one.condition;
    const bool holds = condition.status() == v1::CONDITION_STATUS_TRUE;
    holding += holds;
    load += holds && one.priority.affects_load;
    if (section.table.rows.size() >= kMaxConditions) continue;
    ReportCell level(std::string(holds ? LevelName(condition.level()) : "unknown"));
    level.mood = MoodOf(one);
    ReportCell name(condition.type());
    name.note = JoinedWith(
        " · ", {condition.message(), condition.device().empty() ? "" : "on " + condition.device(),
                condition.flapping() ? "flapping: kept as it was" : "", condition.rule()});
    if (!condition.rule().empty()) name.link = HistoryLink(one.node, condition.rule());
    ReportCell since(Ago(condition.since_unix_ns(), now));
    since.note = When(condition.since_unix_ns());
    std::vector<ReportCell> row = {level, name, std::to_string(one.priority.priority), since};
    if (with_node) {
      ReportCell node(one.node);
      node.link = "/api/v1/reports/node/" + UrlText(one.node) + "?format=html";
      row.insert(row.begin() + 2, node);
    }
    section.table.rows.push_back(std::move(row));
  }
  const size_t unknown = ranked.size() - holding;
  section.summary = ranked.empty()
                        ? "None holds."
                        : fmt::format("{} {}{}{}.", holding, holding == 1 ? "holds" : "hold",
                                      load > 0 ? fmt::format(", {} of them {} the node's load",
                                                             load, load == 1 ? "affects" : "affect")
                                               : "",
                                      unknown > 0 ? fmt::format(", {} unknown", unknown) : "");
  if (ranked.size() > kMaxConditions)
    section.summary += fmt::format(" The first {} are shown.", kMaxConditions);
  section.mood = ranked.empty() ? Mood::kGood : MoodOf(ranked.front());
  return section;
}

ReportSection ChangeSection(const std::vector<NodeHealth>& nodes, const ReportSources& sources) {
  ReportSection section;
  section.title = "What changed";
  const bool with_node = nodes.size() > 1;
  section.table.header = {"", "change", "when"};
  if (with_node) section.table.header.insert(section.table.header.begin() + 2, "node");
  const int64_t now = sources.clock->UnixNs();
  std::vector<std::pair<const NodeHealth*, const v1::HealthChange*>> changes;
  size_t last_day = 0;
  for (const NodeHealth& health : nodes) {
    for (const v1::HealthChange& change : health.changes()) {
      if (change.time_unix_ns() < now - kStripNs) continue;
      changes.emplace_back(&health, &change);
      last_day += change.time_unix_ns() > now - kStripNs / 7;
    }
  }
  std::ranges::stable_sort(changes, [](const auto& a, const auto& b) {
    return a.second->time_unix_ns() > b.second->time_unix_ns();
  });
  for (const auto& [health, change] : changes) {
    if (section.table.rows.size() >= kMaxChanges) break;
    const bool on = change->to() == "True", off = change->to() == "False";
    ReportCell sign(change->is_fact()                ? "changed"
                    : change->reason() == "Flapping" ? "flaps"
                    : on                             ? "appeared"
                    : off                            ? "cleared"
                                                     : "unknown");
    sign.mood = change->is_fact() ? Mood::kPlain
                : on  ? (change->level() >= v1::CHECK_LEVEL_CRITICAL ? Mood::kBad : Mood::kWarning)
                : off ? Mood::kGood
                      : Mood::kUnknown;
    ReportCell what(change->subject());
    what.note = change->is_fact() ? fmt::format("{} → {}", change->from(), change->to())
                                  : change->message();
    if (!change->rule().empty()) what.link = HistoryLink(health->node(), change->rule());
    ReportCell when(When(change->time_unix_ns()));
    when.note = Ago(change->time_unix_ns(), now) + " ago";
    std::vector<ReportCell> row = {sign, what, when};
    if (change->is_fact()) row[0] = ReportCell();
    if (with_node) row.insert(row.begin() + 2, ReportCell(health->node()));
    section.table.rows.push_back(std::move(row));
  }
  section.summary =
      changes.empty()
          ? "Nothing in the last week."
          : fmt::format("{} in the last day, {} in the last week{}.", last_day, changes.size(),
                        changes.size() > kMaxChanges
                            ? fmt::format(" (the newest {} are shown)", kMaxChanges)
                            : "");
  return section;
}

ReportSection CheckSection(const NodeHealth& health, const ReportSources& sources) {
  ReportSection section;
  section.title = "Checks";
  section.table.header = {"verdict", "check", "last 7 days", "ran"};
  const int64_t now = sources.clock->UnixNs();
  const auto strips = VerdictStrips(health, sources);
  std::vector<const v1::RuleMemory*> rules;
  for (const auto& [rule, memory] : health.rules()) {
    if (memory.last().kind() != v1::CHECK_KIND_EVENT) rules.push_back(&memory);
  }
  const auto verdict_of = [](const v1::RuleMemory* memory) {
    return memory->silent() ? v1::CHECK_VERDICT_UNKNOWN : memory->last().verdict();
  };
  const auto weight = [&](const v1::RuleMemory* memory) {
    static constexpr int kOrder[] = {5, 4, 1, 0, 2};  // plain, good, warning, bad, unknown
    return kOrder[static_cast<size_t>(MoodOf(verdict_of(memory), memory->last().level()))];
  };
  std::ranges::stable_sort(rules, [&](const v1::RuleMemory* a, const v1::RuleMemory* b) {
    if (weight(a) != weight(b)) return weight(a) < weight(b);
    return a->last().module() != b->last().module() ? a->last().module() < b->last().module()
                                                    : a->last().rule() < b->last().rule();
  });
  for (const v1::RuleMemory* memory : rules) {
    if (section.table.rows.size() >= kMaxChecks) break;
    const v1::CheckResult& last = memory->last();
    const v1::CheckVerdict verdict = verdict_of(memory);
    ReportCell badge(
        std::string(VerdictName(verdict) == "not_applicable" ? "n/a" : VerdictName(verdict)));
    badge.mood = MoodOf(verdict, last.level());
    ReportCell name(last.item().empty() ? last.rule() : last.module() + " / " + last.item());
    name.note = JoinedWith(
        " · ",
        {memory->silent() ? "its check has fallen silent" : Detail(last),
         memory->suspected_unix_ns() != 0 ? "seen once, being looked at again" : "",
         memory->flapping() ? "flapping" : "", last.output_truncated() ? "output was cut" : ""});
    name.link = HistoryLink(health.node(), last.rule());
    ReportCell life;
    if (const auto at = strips.find(last.rule()); at != strips.end()) life.strip = at->second;
    ReportCell ran(Ago(memory->seen_unix_ns(), now) + " ago");
    ran.note = last.duration_ns() < kNsPerSecond
                   ? fmt::format("took {:.3g} ms", static_cast<double>(last.duration_ns()) / 1e6)
                   : "took " + DurationText(last.duration_ns());
    section.table.rows.push_back({badge, name, life, ran});
  }
  const CheckCounts counts = CountChecks(health);
  section.summary =
      counts.all == 0 ? "No check has reported yet."
                      : fmt::format("{} ok, {} with a problem, {} unknown, {} not applicable here.",
                                    counts.ok, counts.bad, counts.unknown, counts.not_applicable);
  section.mood = counts.bad > 0       ? Mood::kWarning
                 : counts.unknown > 0 ? Mood::kUnknown
                 : counts.all > 0     ? Mood::kGood
                                      : Mood::kPlain;
  return section;
}

json::array ConditionsJson(const std::vector<RankedCondition>& ranked) {
  json::array conditions;
  for (const RankedCondition& one : ranked) {
    const v1::Condition& condition = one.condition;
    conditions.push_back({{"node", one.node},
                          {"type", condition.type()},
                          {"status", StatusName(condition.status())},
                          {"reason", condition.reason()},
                          {"message", condition.message()},
                          {"level", LevelName(condition.level())},
                          {"priority", one.priority.priority},
                          {"affectsLoad", one.priority.affects_load},
                          {"lastTransitionTime", FormatTime(condition.since_unix_ns())},
                          {"rule", condition.rule()},
                          {"device", condition.device()},
                          {"suggestion", condition.suggestion()},
                          {"action", condition.action()},
                          {"flapping", condition.flapping()}});
  }
  return conditions;
}

json::array ChecksJson(const NodeHealth& health) {
  json::array checks;
  for (const auto& [rule, memory] : health.rules()) {
    const v1::CheckResult& last = memory.last();
    checks.push_back(
        {{"rule", rule},
         {"module", last.module()},
         {"item", last.item()},
         {"condition", last.condition()},
         {"verdict", VerdictName(memory.silent() ? v1::CHECK_VERDICT_UNKNOWN : last.verdict())},
         {"held", VerdictName(memory.held())},
         {"level", LevelName(last.level())},
         {"message", last.message()},
         {"current", last.current()},
         {"expected", last.expected()},
         {"device", last.device()},
         {"started", FormatTime(last.started_unix_ns())},
         {"durationSeconds", static_cast<double>(last.duration_ns()) / 1e9},
         {"runs", memory.runs()},
         {"flapping", memory.flapping()},
         {"silent", memory.silent()}});
  }
  return checks;
}

}  // namespace faultline
