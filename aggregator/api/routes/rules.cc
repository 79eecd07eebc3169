// Rules, alerts and where alerts go, as Prometheus' API has them; and what Grafana asks besides.
#include <boost/json.hpp>

#include "aggregator/alerts/rule_engine.h"
#include "aggregator/alerts/rules_json.h"
#include "aggregator/api/routes/query_request.h"
#include "aggregator/api/routes/routes.h"
#include "aggregator/fleet.h"
#include "aggregator/store/store.h"
#include "common/text.h"

namespace faultline::routes {
namespace {

namespace json = boost::json;

std::vector<alerts::GroupView> Groups(const ApiContext& context) {
  return context.rules == nullptr ? std::vector<alerts::GroupView>() : context.rules->Views();
}

}  // namespace

Result<Reply> Rules(const Request& request, ApiContext& context) {
  const std::string_view type = request.Parameter("type");
  if (!type.empty() && type != "alert" && type != "record")
    return BadParameter("type", fmt::format("not supported value \"{}\"", ReplaceInvalidUtf8(type)));
  return Success(json::serialize(alerts::RulesJson(Groups(context), type)));
}

Result<Reply> Alerts(const Request&, ApiContext& context) {
  return Success(json::serialize(alerts::AlertsJson(Groups(context))));
}

Result<Reply> Alertmanagers(const Request&, ApiContext& context) {
  json::array active;
  if (context.notifier != nullptr) {
    for (const std::string& address : context.notifier->addresses()) active.push_back(json::object{{"url", address + "/api/v2/alerts"}});
  }
  return Success(json::serialize(json::value{{"activeAlertmanagers", std::move(active)}, {"droppedAlertmanagers", json::array()}}));
}

// Each node is a target: its agent sends instead of being scraped, but whether it is up is the same question.
Result<Reply> Targets(const Request& request, ApiContext& context) {
  const std::string_view state = request.Parameter("state");
  json::array active;
  if (context.fleet != nullptr && (state.empty() || state == "active" || state == "any")) {
    for (const NodeState& node : context.fleet->Nodes()) {
      active.push_back({{"discoveredLabels", {{"__address__", node.node}, {"job", "faultline-agent"}}},
                        {"labels", {{"instance", node.node}, {"job", "faultline-agent"}, {"node", node.node}}},
                        {"scrapePool", "faultline-agent"},
                        {"scrapeUrl", ""},
                        {"globalUrl", ""},
                        {"lastError", node.up ? "" : "no sign of life"},
                        {"lastScrape", FormatTime(node.last_seen_unix_ns)},
                        {"lastScrapeDuration", 0.0},
                        {"health", node.up ? "up" : "down"},
                        {"scrapeInterval", "1s"},
                        {"scrapeTimeout", "15s"}});
    }
  }
  return Success(json::serialize(json::value{{"activeTargets", std::move(active)}, {"droppedTargets", json::array()}}));
}

// Exemplars are not kept: the answer of a Prometheus without exemplar storage.
Result<Reply> QueryExemplars(const Request& request, ApiContext&) {
  const auto query = PromQuery::Parse(request.Parameter("query"));
  if (!query) return BadParameter("query", query.error().message);
  TimeBounds bounds;
  if (auto refusal = ReadBounds(request, bounds)) return std::move(*refusal);
  return Success("[]");
}

Result<Reply> RuntimeInfo(const Request&, ApiContext& context) {
  const StoreStats stats = context.store->Stats();
  return Success(json::serialize(json::value{{"timeSeriesCount", stats.series},
                                             {"corruptionCount", stats.damaged_reads},
                                             {"reloadConfigSuccess", true},
                                             {"serverTime", FormatTime(context.clock->UnixNs())},
                                             {"storageBytes", stats.bytes_on_disk}}));
}

Result<Reply> NoFlags(const Request&, ApiContext&) { return Success("{}"); }

}  // namespace faultline::routes
