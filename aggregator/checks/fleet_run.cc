#include "aggregator/checks/fleet_run.h"

#include <algorithm>
#include <array>
#include <set>

#include "aggregator/checks/node_health.h"
#include "common/text.h"

namespace faultline {
namespace {

namespace json = boost::json;

constexpr size_t kMaxResults = 1500;  // full results in a status; beyond it problems only
constexpr size_t kMaxProblems = 1000;
constexpr size_t kMaxTextBytes = 300;

// Facts that a fleet should agree on.
constexpr std::array<std::string_view, 14> kComparedFacts = {
    "kernel",    "os",       "agent_version", "cpus",      "cpu_model",      "architecture",
    "driver",    "firmware", "bios",          "microcode", "cgroup_version", "container_runtime",
    "gpu_model", "machine"};

std::string Short(const std::string& text) {
  return ReplaceInvalidUtf8(text.substr(0, kMaxTextBytes));
}

json::string TextOf(const json::object& object, std::string_view name) {
  const json::value* value = object.if_contains(name);
  return value != nullptr && value->is_string() ? value->get_string() : json::string();
}

json::array ArrayOf(const json::object& object, std::string_view name) {
  const json::value* value = object.if_contains(name);
  return value != nullptr && value->is_array() ? value->get_array() : json::array();
}

json::object ProblemJson(const std::string& node, const v1::CheckResult& result) {
  return {{"node", node},
          {"rule", result.rule()},
          {"condition", result.condition()},
          {"level", LevelName(result.level())},
          {"verdict", VerdictName(result.verdict())},
          {"device", Short(result.device())},
          {"message", Short(result.message())}};
}

json::array ProblemsOf(const FleetRun& run) {
  json::array problems;
  for (const auto& [node, one] : run.nodes) {
    for (const v1::CheckResult& result : one.results) {
      if (IsBad(result.verdict()) && problems.size() < kMaxProblems)
        problems.push_back(ProblemJson(node, result));
    }
  }
  return problems;
}

std::string KeyOf(const json::value& problem) {
  const json::object& object = problem.get_object();
  return fmt::format("{}\n{}", std::string_view(TextOf(object, "node")),
                     std::string_view(TextOf(object, "rule")));
}

// Only of nodes that were heard in this run: a node that did not answer has not been cured.
json::object Difference(const json::array& before, const json::array& now, const FleetRun& run) {
  std::set<std::string> old_keys, new_keys;
  for (const json::value& problem : before) {
    if (problem.is_object()) old_keys.insert(KeyOf(problem));
  }
  for (const json::value& problem : now) new_keys.insert(KeyOf(problem));
  json::array appeared, cleared;
  for (const json::value& problem : now) {
    if (!old_keys.contains(KeyOf(problem))) appeared.push_back(problem);
  }
  for (const json::value& problem : before) {
    if (!problem.is_object() || new_keys.contains(KeyOf(problem))) continue;
    const auto node = run.nodes.find(std::string(TextOf(problem.get_object(), "node")));
    if (node != run.nodes.end() && node->second.phase == NodeRunPhase::kDone)
      cleared.push_back(problem);
  }
  return {{"appeared", std::move(appeared)}, {"cleared", std::move(cleared)}};
}

json::array NodeResults(const FleetRun& run) {
  size_t all = 0;
  for (const auto& [node, one] : run.nodes) all += one.results.size();
  json::array results;
  for (const auto& [node, one] : run.nodes) {
    static constexpr std::string_view kPhases[] = {"Pending", "Checking", "Succeeded", "Failed"};
    json::object row = {{"name", node}, {"phase", kPhases[static_cast<size_t>(one.phase)]}};
    if (!one.error.empty()) row["error"] = Short(one.error);
    if (all <= kMaxResults) {
      row["resultInfos"] = ResultInfos(one.results);
    } else {
      std::vector<v1::CheckResult> bad;
      std::ranges::copy_if(one.results, std::back_inserter(bad),
                           [](const v1::CheckResult& result) { return IsBad(result.verdict()); });
      row["resultInfos"] = ResultInfos(bad);
      row["onlyProblems"] = true;
    }
    results.push_back(std::move(row));
  }
  return results;
}

json::array OutliersJson(const std::vector<Outlier>& outliers) {
  json::array array;
  for (const Outlier& outlier : outliers) {
    array.push_back({{"subject", outlier.subject},
                     {"node", outlier.node},
                     {"value", Short(outlier.value)},
                     {"usual", Short(outlier.usual)},
                     {"nodes", outlier.nodes}});
  }
  return array;
}

}  // namespace

bool FleetRun::Finished() const {
  return Count(NodeRunPhase::kWaiting) == 0 && Count(NodeRunPhase::kAsked) == 0;
}

size_t FleetRun::Count(NodeRunPhase phase) const {
  return static_cast<size_t>(
      std::ranges::count_if(nodes, [&](const auto& entry) { return entry.second.phase == phase; }));
}

size_t FleetRun::Problems() const {
  size_t problems = 0;
  for (const auto& [node, one] : nodes) {
    problems += static_cast<size_t>(std::ranges::count_if(
        one.results, [](const v1::CheckResult& result) { return IsBad(result.verdict()); }));
  }
  return problems;
}

std::vector<std::string> ChooseNodes(const std::vector<NodeState>& fleet,
                                     const json::value* selector) {
  const json::object none;
  const json::object& chosen =
      selector != nullptr && selector->is_object() ? selector->get_object() : none;
  const auto matches = [&](std::string_view list, const std::string& node) {
    return std::ranges::any_of(ArrayOf(chosen, list), [&](const json::value& glob) {
      return glob.is_string() && GlobMatch(std::string_view(glob.get_string()), node);
    });
  };
  std::vector<std::string> nodes;
  for (const NodeState& state : fleet) {
    if (chosen.contains("nodes") && !matches("nodes", state.node)) continue;
    if (matches("excludeNodes", state.node)) continue;
    bool facts = true;
    if (const json::value* wanted = chosen.if_contains("facts");
        wanted != nullptr && wanted->is_object()) {
      for (const auto& [name, value] : wanted->get_object()) {
        const auto at = state.inventory.facts().find(std::string(name));
        facts &= at != state.inventory.facts().end() && value.is_string() &&
                 value.get_string() == at->second;
      }
    }
    if (facts) nodes.push_back(state.node);
  }
  return nodes;
}

FleetRun PlanRun(const std::vector<std::string>& nodes, int64_t now_unix_ns, int64_t stagger_ns,
                 int64_t timeout_ns) {
  FleetRun run;
  run.start_unix_ns = now_unix_ns;
  run.deadline_unix_ns = now_unix_ns + stagger_ns + timeout_ns;
  for (size_t i = 0; i < nodes.size(); ++i) {
    run.nodes[nodes[i]].start_at_unix_ns =
        now_unix_ns + stagger_ns / static_cast<int64_t>(nodes.size()) * static_cast<int64_t>(i);
  }
  return run;
}

json::object ResultInfos(const std::vector<v1::CheckResult>& results) {
  json::object infos;
  for (const v1::CheckResult& result : results) {
    json::value& module = infos[result.module().empty() ? "other" : result.module()];
    if (!module.is_array()) module = json::array();
    module.get_array().push_back(
        {{"item", result.item()},
         {"condition", result.condition().empty() ? result.reason() : result.condition()},
         {"level", LevelName(result.level())},
         {"status", IsBad(result.verdict())},
         {"verdict", VerdictName(result.verdict())},
         {"message", Short(result.message())}});
  }
  return infos;
}

json::object RunStatus(const FleetRun& run, const json::object& before,
                       const std::vector<Outlier>& outliers, int64_t now_unix_ns,
                       size_t history_limit) {
  json::object status = before;
  const size_t succeeded = run.Count(NodeRunPhase::kDone),
               failed = run.Count(NodeRunPhase::kFailed);
  const bool finished = run.Finished();
  status["phase"] = !finished ? "Checking" : succeeded == 0 && failed > 0 ? "Failed" : "Completed";
  status["startTime"] = FormatTime(run.start_unix_ns);
  status["desired"] = run.nodes.size();
  status["active"] = run.nodes.size() - succeeded - failed;
  status["succeeded"] = succeeded;
  status["failed"] = failed;
  status["checkResults"] = {{"checkType", "Node"}, {"results", NodeResults(run)}};
  if (!finished) {
    status.erase("completionTime");
    return status;
  }
  const json::array problems = ProblemsOf(run);
  status["completionTime"] = FormatTime(now_unix_ns);
  if (before.contains("problems"))
    status["difference"] = Difference(ArrayOf(before, "problems"), problems, run);
  status["problems"] = problems;
  status["outliers"] = OutliersJson(outliers);
  json::array history = ArrayOf(before, "history");
  history.push_back({{"startTime", FormatTime(run.start_unix_ns)},
                     {"completionTime", FormatTime(now_unix_ns)},
                     {"desired", run.nodes.size()},
                     {"succeeded", succeeded},
                     {"failed", failed},
                     {"problems", run.Problems()},
                     {"outliers", outliers.size()}});
  while (history.size() > history_limit) history.erase(history.begin());
  status["history"] = std::move(history);
  return status;
}

std::vector<Answers> GatherAnswers(const std::vector<NodeState>& fleet, const FleetRun& run) {
  std::map<std::string, Answers> answers;
  for (const NodeState& state : fleet) {
    if (!run.nodes.contains(state.node)) continue;
    for (const std::string_view name : kComparedFacts) {
      const auto at = state.inventory.facts().find(std::string(name));
      if (at != state.inventory.facts().end())
        answers[fmt::format("fact/{}", name)].words[state.node] = at->second;
    }
  }
  for (const auto& [node, one] : run.nodes) {
    for (const v1::CheckResult& result : one.results) {
      if (CannotTell(result.verdict()) || result.verdict() == v1::CHECK_VERDICT_NOT_APPLICABLE)
        continue;
      const auto number = ParseDouble(result.current());
      if (number) {
        answers[result.rule()].numbers[node] = *number;
      } else if (!result.current().empty()) {
        answers[result.rule()].words[node] = result.current();
      }
      for (const v1::Perfdata& figure : result.perfdata())
        answers[result.rule() + " " + figure.label()].numbers[node] = figure.value();
    }
  }
  std::vector<Answers> list;
  for (auto& [subject, one] : answers) {
    one.subject = subject;
    list.push_back(std::move(one));
  }
  return list;
}

}  // namespace faultline
