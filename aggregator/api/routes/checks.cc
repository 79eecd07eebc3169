// /api/v1/checks: what nodes' checks found, what conditions hold, the history of one rule, and what
// matters how much.
#include "aggregator/checks/checks.h"
#include "aggregator/api/routes/json_forms.h"
#include "aggregator/api/routes/routes.h"
#include "aggregator/reports/health_sections.h"
#include "common/text.h"

namespace faultline::routes {
namespace {

namespace json = boost::json;

constexpr size_t kMaxScanned = 200'000;
constexpr size_t kMaxResults = 1000;
constexpr int64_t kDayNs = int64_t{86400} * kNsPerSecond;

Result<Checks*> ChecksOf(const ApiContext& context) {
  if (context.checks == nullptr) return Fail(ErrorCode::kUnavailable, "no checks here");
  return context.checks;
}

json::object ResultJson(const StoredCheck& stored) {
  const v1::CheckResult& result = stored.result;
  json::object object = {{"node", stored.node},
                         {"rule", result.rule()},
                         {"module", result.module()},
                         {"item", result.item()},
                         {"condition", result.condition()},
                         {"reason", result.reason()},
                         {"verdict", VerdictName(result.verdict())},
                         {"level", LevelName(result.level())},
                         {"message", result.message()},
                         {"current", result.current()},
                         {"expected", result.expected()},
                         {"device", result.device()},
                         {"suggestion", result.suggestion()},
                         {"started", FormatTime(result.started_unix_ns())},
                         {"durationSeconds", static_cast<double>(result.duration_ns()) / 1e9},
                         {"output", ReplaceInvalidUtf8(result.output())},
                         {"outputTruncated", result.output_truncated()},
                         {"commandId", result.command_id()},
                         {"rulesVersion", result.rules_version()}};
  if (result.has_exit_code()) object["exitCode"] = result.exit_code();
  json::array perfdata;
  for (const v1::Perfdata& figure : result.perfdata()) {
    perfdata.push_back(
        {{"label", figure.label()}, {"value", figure.value()}, {"unit", figure.unit()}});
  }
  if (!perfdata.empty()) object["perfdata"] = std::move(perfdata);
  return object;
}

std::vector<NodeHealth> Chosen(const Request& request, const Checks& checks) {
  const std::string node(request.Parameter("node"));
  std::vector<NodeHealth> nodes = checks.Nodes();
  if (!node.empty())
    std::erase_if(nodes, [&](const NodeHealth& health) { return health.node() != node; });
  return nodes;
}

}  // namespace

Result<Reply> CheckStates(const Request& request, ApiContext& context) {
  FAULTLINE_ASSIGN(Checks* const checks, ChecksOf(context));
  json::array nodes;
  for (const NodeHealth& health : Chosen(request, *checks)) {
    nodes.push_back({{"node", health.node()}, {"checks", ChecksJson(health)}});
  }
  return SuccessReply(std::move(nodes));
}

Result<Reply> Conditions(const Request& request, ApiContext& context) {
  FAULTLINE_ASSIGN(Checks* const checks, ChecksOf(context));
  return SuccessReply(
      ConditionsJson(RankConditions(Chosen(request, *checks), checks->priorities())));
}

Result<Reply> CheckResults(const Request& request, ApiContext& context) {
  if (context.store == nullptr) return Fail(ErrorCode::kUnavailable, "no store here");
  const int64_t now = context.clock->UnixNs();
  const auto moment = [&](std::string_view name, int64_t otherwise) -> Result<int64_t> {
    const std::string_view text = request.Parameter(name);
    return text.empty() ? Result<int64_t>(otherwise) : ParseTimeParameter(name, text);
  };
  FAULTLINE_ASSIGN(const int64_t begin, moment("start", now - kDayNs));
  FAULTLINE_ASSIGN(const int64_t end, moment("end", now + kDayNs));
  const std::string_view node = request.Parameter("node"), rule = request.Parameter("rule"),
                         command = request.Parameter("command");
  FAULTLINE_ASSIGN(const std::vector<StoredCheck> stored,
                   node.empty() ? context.store->Checks(begin, end, kMaxScanned)
                                : context.store->CheckHistory(node, rule, begin, end, kMaxResults));
  json::array results;
  for (auto at = stored.rbegin(); at != stored.rend() && results.size() < kMaxResults; ++at) {
    if (!rule.empty() && !GlobMatch(rule, at->result.rule())) continue;
    if (!command.empty() && at->result.command_id() != command) continue;
    results.push_back(ResultJson(*at));
  }
  return SuccessReply(std::move(results));
}

Result<Reply> SetCheckPriorities(const Request& request, ApiContext& context) {
  FAULTLINE_ASSIGN(Checks* const checks, ChecksOf(context));
  FAULTLINE_TRY(checks->SetPriorities(request.body, "priority.conf"));
  return SuccessReply(json::object{{"conditions", checks->priorities().size()}});
}

}  // namespace faultline::routes
