#include "aggregator/checks/health_series.h"

#include "common/log.h"

namespace faultline {
namespace {

constexpr int64_t kMaxAheadNs = 600 * kNsPerSecond;

}  // namespace

SeriesId HealthSeries::Intern(Labels labels, std::string_view help) {
  SortLabels(labels);
  const auto series = store_->InternSeries(labels, {v1::METRIC_TYPE_GAUGE, std::string(help)});
  if (!series && LogAllowed("checks/series"))
    spdlog::warn("series of checks: {}", series.error().message);
  return series.value_or(0);
}

void HealthSeries::AddRun(const std::string& node, const v1::CheckResult& result,
                          int64_t now_unix_ns) {
  if (result.started_unix_ns() > now_unix_ns + kMaxAheadNs) return;
  SeriesId& series = runs_[node + '\0' + result.rule()];
  if (series == 0) {
    series = Intern({{"__name__", "faultline_check_verdict"},
                     {"node", node},
                     {"rule", result.rule()},
                     {"module", result.module()},
                     {"item", result.item()}},
                    "Verdict of each run: 1 ok, 2 degraded, 3 problem, 4 unknown, 5 timeout, 6 "
                    "skipped, 7 not applicable.");
  }
  if (series == 0) return;
  rows_[node].samples.push_back(
      {series, result.started_unix_ns() / kNsPerMs, static_cast<double>(result.verdict())});
}

void HealthSeries::AddConditions(const NodeHealth& health, int64_t now_unix_ns) {
  auto& shown = conditions_[health.node()];
  AppendBatch& rows = rows_[health.node()];
  const int64_t now_ms = now_unix_ns / kNsPerMs;
  for (auto at = shown.begin(); at != shown.end();) {
    const auto condition = health.conditions().find(at->first);
    const bool same =
        condition != health.conditions().end() && condition->second.level() == at->second.level;
    if (same) {
      ++at;
      continue;
    }
    if (at->second.series != 0) rows.samples.push_back({at->second.series, now_ms, StaleMarker()});
    at = shown.erase(at);
  }
  for (const auto& [type, condition] : health.conditions()) {
    Shown& series = shown[type];
    if (series.series == 0) {
      series.level = condition.level();
      series.series = Intern({{"__name__", "faultline_condition"},
                              {"node", health.node()},
                              {"condition", type},
                              {"level", std::string(LevelName(condition.level()))}},
                             "Conditions of nodes after confirmation and flap suppression: 1 true, "
                             "0 false, -1 unknown.");
    }
    if (series.series == 0) continue;
    const double value = condition.status() == v1::CONDITION_STATUS_TRUE    ? 1
                         : condition.status() == v1::CONDITION_STATUS_FALSE ? 0
                                                                            : -1;
    rows.samples.push_back({series.series, now_ms, value});
  }
}

void HealthSeries::AddEvent(const std::string& node, v1::Event event) {
  rows_[node].events.push_back(std::move(event));
}

void HealthSeries::Flush() {
  for (auto& [node, batch] : rows_) {
    if (batch.samples.empty() && batch.events.empty()) continue;
    batch.node = node;
    store_->Append(std::move(batch), [](Result<void> kept) {
      if (!kept && LogAllowed("checks/series"))
        spdlog::warn("history of checks: {}", kept.error().message);
    });
  }
  rows_.clear();
}

}  // namespace faultline
