#include "aggregator/alerts/rules_json.h"

#include <charconv>
#include <cmath>

#include "common/text.h"

namespace faultline::alerts {
namespace {

namespace json = boost::json;

json::object ObjectOf(const Labels& labels) {
  json::object object;
  for (const auto& [name, value] : labels) object[name] = ReplaceInvalidUtf8(value);
  return object;
}

std::string TimeText(int64_t time_ms) {
  return time_ms == 0 ? "0001-01-01T00:00:00Z" : FormatTime(time_ms * kNsPerMs);
}

// strconv's 'e' with the fewest digits: 1e+00.
std::string Scientific(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "+Inf" : "-Inf";
  char text[40];
  const auto end = std::to_chars(text, text + sizeof text, value, std::chars_format::scientific).ptr;
  return {text, end};
}

json::value AlertObject(const Alert& alert) {
  json::object object{{"labels", ObjectOf(alert.labels)},
                      {"annotations", ObjectOf(alert.annotations)},
                      {"state", StateName(alert.state)},
                      {"activeAt", TimeText(alert.active_at_ms)},
                      {"value", Scientific(alert.value)}};
  if (alert.keep_firing_since_ms != 0) object["keepFiringSince"] = TimeText(alert.keep_firing_since_ms);
  return object;
}

json::value RuleObject(const RuleView& rule) {
  json::object object;
  if (rule.spec.alerting) {
    json::array alerts;
    for (const Alert& alert : rule.alerts) alerts.push_back(AlertObject(alert));
    object = {{"state", StateName(rule.state)},
              {"name", rule.spec.name},
              {"query", rule.spec.expression},
              {"duration", static_cast<double>(rule.spec.for_ms) / 1000},
              {"keepFiringFor", static_cast<double>(rule.spec.keep_firing_for_ms) / 1000},
              {"labels", ObjectOf(rule.spec.labels)},
              {"annotations", ObjectOf(rule.spec.annotations)},
              {"alerts", std::move(alerts)}};
  } else {
    object = {{"name", rule.spec.name}, {"query", rule.spec.expression}};
    if (!rule.spec.labels.empty()) object["labels"] = ObjectOf(rule.spec.labels);
  }
  object["health"] = !rule.last_error.empty() ? "err" : rule.evaluated_at_ms == 0 ? "unknown" : "ok";
  if (!rule.last_error.empty()) object["lastError"] = ReplaceInvalidUtf8(rule.last_error);
  object["evaluationTime"] = rule.evaluation_seconds;
  object["lastEvaluation"] = TimeText(rule.evaluated_at_ms);
  object["type"] = rule.spec.alerting ? "alerting" : "recording";
  return object;
}

}  // namespace

json::value RulesJson(const std::vector<GroupView>& groups, std::string_view type) {
  json::array list;
  for (const GroupView& group : groups) {
    json::array rules;
    for (const RuleView& rule : group.rules) {
      if (type == "alert" && !rule.spec.alerting) continue;
      if (type == "record" && rule.spec.alerting) continue;
      rules.push_back(RuleObject(rule));
    }
    list.push_back({{"name", group.name},
                    {"file", group.file},
                    {"rules", std::move(rules)},
                    {"interval", static_cast<double>(group.interval_ms) / 1000},
                    {"limit", group.limit},
                    {"evaluationTime", group.evaluation_seconds},
                    {"lastEvaluation", TimeText(group.evaluated_at_ms)}});
  }
  return {{"groups", std::move(list)}};
}

json::value AlertsJson(const std::vector<GroupView>& groups) {
  json::array list;
  for (const GroupView& group : groups) {
    for (const RuleView& rule : group.rules) {
      for (const Alert& alert : rule.alerts) list.push_back(AlertObject(alert));
    }
  }
  return {{"alerts", std::move(list)}};
}

}  // namespace faultline::alerts
