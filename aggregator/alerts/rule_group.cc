#include "aggregator/alerts/rule_group.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <set>

#include "aggregator/alerts/template.h"
#include "common/log.h"

namespace faultline::alerts {
namespace {

constexpr int64_t kKeepResolvedMs = 15 * 60'000;
constexpr int64_t kOutageToleranceMs = 60 * 60'000;  // older states of `for` are not restored
constexpr int64_t kForGraceMs = 10 * 60'000;         // an alert waits at least so long after a restart

void SetLabel(Labels& labels, std::string_view name, std::string_view value) {
  std::erase_if(labels, [&](const auto& label) { return label.first == name; });
  if (!value.empty()) labels.emplace_back(name, value);
  SortLabels(labels);
}

double SecondsSince(std::chrono::steady_clock::time_point begin) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

}  // namespace

struct RuleGroup::RuleState {
  RuleSpec spec;
  std::map<Labels, Alert> active;  // by labels; resolved ones stay a while
  std::set<Labels> series;         // written by the last evaluation
  bool restored = false;
  std::string last_error;
  int64_t evaluated_at_ms = 0;
  double evaluation_seconds = 0;
};

std::string_view StateName(AlertState state) {
  return state == AlertState::kFiring ? "firing" : state == AlertState::kPending ? "pending" : "inactive";
}

Alert MakeAlert(const RuleSpec& rule, const Labels& sample_labels, double value, int64_t now_ms, const RuleWorld& world) {
  TemplateContext context;
  context.labels = sample_labels;
  std::erase_if(context.labels, [](const auto& label) { return label.first == "__name__"; });
  context.external_labels = world.external_labels;
  context.external_url = world.external_url;
  context.value = value;
  context.query = [&](const std::string& text) -> Result<QueryResult> {
    FAULTLINE_ASSIGN(const PromQuery query, PromQuery::Parse(text));
    const auto source = world.make_source();
    return query.At(now_ms, *source, world.query);
  };
  const auto expand = [&](const std::string& text) {
    auto expanded = ExpandTemplate(text, context);
    return expanded ? *expanded : fmt::format("<error expanding template: {}>", expanded.error().message);
  };
  Alert alert;
  alert.value = value;
  alert.active_at_ms = now_ms;
  alert.labels = context.labels;
  for (const auto& [name, text] : rule.labels) SetLabel(alert.labels, name, expand(text));
  SetLabel(alert.labels, "alertname", rule.name);
  for (const auto& [name, text] : rule.annotations) alert.annotations.emplace_back(name, expand(text));
  return alert;
}

RuleGroup::RuleGroup(GroupSpec spec, const RuleWorld* world) : spec_(std::move(spec)), world_(world) {
  for (const RuleSpec& rule : spec_.rules) {
    rules_.push_back(std::make_unique<RuleState>());
    rules_.back()->spec = rule;
  }
}
RuleGroup::~RuleGroup() = default;

void RuleGroup::Inherit(RuleGroup& old) {
  for (auto& state : rules_) {
    const auto same = std::ranges::find_if(old.rules_, [&](const auto& each) { return each && each->spec.SameAs(state->spec); });
    if (same != old.rules_.end()) state = std::move(*same);
  }
  orphans_ = std::move(old.orphans_);
  for (const auto& state : old.rules_) {
    if (state) orphans_.insert(orphans_.end(), state->series.begin(), state->series.end());
  }
}

Result<std::vector<ResultSeries>> RuleGroup::Query(const RuleSpec& rule, int64_t now_ms) const {
  QueryOptions options = world_->query;
  if (options.clock != nullptr) {
    options.deadline_steady_ns = options.clock->SteadyNs() + std::max<int64_t>(interval_ms(), 1000) * kNsPerMs;
  }
  const auto source = world_->make_source();
  FAULTLINE_ASSIGN(QueryResult result, rule.query->At(now_ms, *source, options));
  if (result.type == promql::ValueType::kScalar) return std::vector<ResultSeries>{{{}, {{now_ms, result.scalar}}}};
  return std::move(result.series);
}

Result<std::vector<ResultSeries>> RuleGroup::Record(const RuleSpec& rule, int64_t now_ms) const {
  FAULTLINE_ASSIGN(std::vector<ResultSeries> result, Query(rule, now_ms));
  std::set<Labels> seen;
  for (ResultSeries& series : result) {
    SetLabel(series.labels, "__name__", rule.name);
    for (const auto& [name, value] : rule.labels) SetLabel(series.labels, name, value);
    if (!seen.insert(series.labels).second) {
      return Fail(ErrorCode::kInvalidArgument,
                  "vector contains metrics with the same labelset after applying rule labels");
    }
  }
  if (spec_.limit > 0 && result.size() > spec_.limit) {
    return Fail(ErrorCode::kResourceExhausted, "exceeded limit of {} with {} series", spec_.limit, result.size());
  }
  return result;
}

// The states of what was active, given what the expression says now; series of them go to `out`.
void RuleGroup::Advance(RuleState& rule, const std::map<Labels, bool>& seen, int64_t now_ms, std::vector<ResultSeries>& out) {
  for (auto at = rule.active.begin(); at != rule.active.end();) {
    Alert& alert = at->second;
    if (!seen.contains(at->first)) {
      bool keep_firing = false;
      if (alert.state == AlertState::kFiring && rule.spec.keep_firing_for_ms > 0) {
        if (alert.keep_firing_since_ms == 0) alert.keep_firing_since_ms = now_ms;
        keep_firing = now_ms - alert.keep_firing_since_ms < rule.spec.keep_firing_for_ms;
      }
      if (alert.state == AlertState::kPending ||
          (alert.resolved_at_ms != 0 && now_ms - alert.resolved_at_ms > kKeepResolvedMs)) {
        at = rule.active.erase(at);
        continue;
      }
      if (alert.state != AlertState::kInactive && !keep_firing) {
        alert.state = AlertState::kInactive;
        alert.resolved_at_ms = now_ms;
      }
      if (!keep_firing) {
        ++at;
        continue;
      }
    } else {
      alert.keep_firing_since_ms = 0;
    }
    if (alert.state == AlertState::kPending && now_ms - alert.active_at_ms >= rule.spec.for_ms) {
      alert.state = AlertState::kFiring;
      alert.fired_at_ms = now_ms;
    }
    Labels labels = alert.labels;
    SetLabel(labels, "__name__", "ALERTS_FOR_STATE");
    out.push_back({labels, {{now_ms, static_cast<double>(alert.active_at_ms / 1000)}}});
    SetLabel(labels, "__name__", "ALERTS");
    SetLabel(labels, "alertstate", StateName(alert.state));
    out.push_back({std::move(labels), {{now_ms, 1}}});
    ++at;
  }
}

Result<std::vector<ResultSeries>> RuleGroup::Watch(RuleState& rule, int64_t now_ms) {
  FAULTLINE_ASSIGN(const std::vector<ResultSeries> result, Query(rule.spec, now_ms));
  std::map<Labels, bool> seen;
  std::vector<Alert> fresh;
  for (const ResultSeries& series : result) {
    Alert alert = MakeAlert(rule.spec, series.labels, series.samples.front().value, now_ms, *world_);
    if (!seen.emplace(alert.labels, true).second) {
      return Fail(ErrorCode::kInvalidArgument,
                  "vector contains metrics with the same labelset after applying alert labels");
    }
    fresh.push_back(std::move(alert));
  }
  for (Alert& alert : fresh) {
    const auto known = rule.active.find(alert.labels);
    if (known != rule.active.end() && known->second.state != AlertState::kInactive) {
      known->second.value = alert.value;
      known->second.annotations = std::move(alert.annotations);
    } else {
      rule.active[alert.labels] = std::move(alert);
    }
  }
  if (!rule.restored) RestoreFor(rule, now_ms);
  rule.restored = true;
  std::vector<ResultSeries> out;
  Advance(rule, seen, now_ms, out);
  if (const size_t active = out.size() / 2; spec_.limit > 0 && active > spec_.limit) {
    rule.active.clear();
    return Fail(ErrorCode::kResourceExhausted, "exceeded limit of {} with {} alerts", spec_.limit, active);
  }
  return out;
}

// After a restart an alert has waited already: ALERTS_FOR_STATE says since when.
void RuleGroup::RestoreFor(RuleState& rule, int64_t now_ms) {
  if (rule.spec.for_ms < kForGraceMs) return;
  const auto source = world_->make_source();
  for (auto& [labels, alert] : rule.active) {
    std::vector<LabelMatcher> matchers{{LabelMatcher::Op::kEqual, "__name__", "ALERTS_FOR_STATE"}};
    for (const auto& [name, value] : labels) matchers.push_back({LabelMatcher::Op::kEqual, name, value});
    const auto ids = source->Select(matchers, now_ms - kOutageToleranceMs, now_ms);
    if (!ids) return;
    for (const SeriesId id : *ids) {
      const auto found = source->LabelsOf(id);
      if (!found || found->size() != labels.size() + 1) continue;
      const auto samples = source->Fetch(id, now_ms - kOutageToleranceMs, now_ms - 1);
      if (!samples || samples->empty()) continue;
      auto last = samples->rbegin();
      if (IsStale(last->value)) continue;
      const int64_t down_ms = last->time_ms, active_ms = static_cast<int64_t>(last->value) * 1000;
      const int64_t remaining_ms = rule.spec.for_ms - (down_ms - active_ms);
      if (remaining_ms <= 0) {
        alert.active_at_ms = active_ms;  // it was firing
      } else if (remaining_ms < kForGraceMs) {
        alert.active_at_ms = now_ms + kForGraceMs - rule.spec.for_ms;
      } else {
        alert.active_at_ms = active_ms + (now_ms - down_ms);
      }
    }
  }
}

void RuleGroup::SendDue(RuleState& rule, int64_t now_ms) const {
  if (!world_->send) return;
  std::vector<Alert> due;
  for (auto& [labels, alert] : rule.active) {
    if (alert.state == AlertState::kPending) continue;
    const bool resolved_since = alert.resolved_at_ms > alert.last_sent_ms;
    if (!resolved_since && alert.last_sent_ms != 0 && alert.last_sent_ms + world_->resend_delay_ms >= now_ms) continue;
    alert.last_sent_ms = now_ms;
    // Alertmanager forgets it then, should we be gone: three missed sendings are allowed.
    alert.valid_until_ms = now_ms + 4 * std::max(interval_ms(), world_->resend_delay_ms);
    due.push_back(alert);
  }
  if (!due.empty()) world_->send(std::move(due), rule.spec);
}

void RuleGroup::Stage(RuleState& rule, std::vector<ResultSeries>&& series, int64_t now_ms, AppendBatch& batch) {
  std::set<Labels> now;
  const auto add = [&](const Labels& labels, double value, bool alerting) {
    const SeriesMeta meta{alerting ? v1::METRIC_TYPE_GAUGE : v1::METRIC_TYPE_UNTYPED, ""};
    const auto id = world_->store->InternSeries(labels, meta);
    if (!id) {
      rule.last_error = id.error().message;
    } else {
      batch.samples.push_back({*id, now_ms, value});
    }
  };
  for (ResultSeries& each : series) {
    add(each.labels, each.samples.front().value, rule.spec.alerting);
    now.insert(std::move(each.labels));
  }
  for (const Labels& labels : rule.series) {
    if (!now.contains(labels)) add(labels, StaleMarker(), rule.spec.alerting);
  }
  rule.series = std::move(now);
}

Result<void> RuleGroup::Write(AppendBatch&& batch) const {
  if (batch.samples.empty()) return {};
  struct Outcome {
    std::mutex mutex;
    std::condition_variable ready;
    std::optional<Result<void>> result;
  };
  const auto outcome = std::make_shared<Outcome>();
  world_->store->Append(std::move(batch), [outcome](Result<void> result) {
    const std::lock_guard lock(outcome->mutex);
    outcome->result = std::move(result);
    outcome->ready.notify_all();
  });
  std::unique_lock lock(outcome->mutex);
  if (!outcome->ready.wait_for(lock, std::chrono::seconds(30), [&] { return outcome->result.has_value(); }))
    return Fail(ErrorCode::kTimeout, "the store did not take the result of rules within 30 s");
  return std::move(*outcome->result);
}

void RuleGroup::Evaluate(int64_t now_ms) {
  const auto begin = std::chrono::steady_clock::now();
  AppendBatch batch;  // of rules whose results no later rule reads
  std::vector<std::string> unwritten;
  for (const auto& rule : rules_) {
    const auto rule_begin = std::chrono::steady_clock::now();
    // A rule sees what the rules before it made; most do not look, and then one write serves all.
    const std::string& text = rule->spec.expression;
    if (std::ranges::any_of(unwritten, [&](const std::string& name) { return text.find(name) != std::string::npos; }) ||
        (!unwritten.empty() && text.find("__name__") != std::string::npos)) {
      if (auto written = Write(std::move(batch)); !written && LogAllowed("rules"))
        spdlog::error("rules: {}", written.error().message);
      batch = {};
      unwritten.clear();
    }
    auto series = rule->spec.alerting ? Watch(*rule, now_ms) : Record(rule->spec, now_ms);
    rule->last_error = series ? "" : series.error().message;
    if (!series && LogAllowed("rule " + spec_.name))
      spdlog::warn("rule {} of group {}: {}", rule->spec.name, spec_.name, rule->last_error);
    if (series) {
      Stage(*rule, std::move(*series), now_ms, batch);
      unwritten.push_back(rule->spec.alerting ? "ALERTS" : rule->spec.name);
    }
    if (rule->spec.alerting) SendDue(*rule, now_ms);
    rule->evaluated_at_ms = now_ms;
    rule->evaluation_seconds = SecondsSince(rule_begin);
  }
  for (const Labels& labels : orphans_) {
    if (const auto id = world_->store->InternSeries(labels, {})) batch.samples.push_back({*id, now_ms, StaleMarker()});
  }
  orphans_.clear();
  if (auto written = Write(std::move(batch)); !written && LogAllowed("rules"))
    spdlog::error("rules: {}", written.error().message);
  evaluated_at_ms_ = now_ms;
  evaluation_seconds_ = SecondsSince(begin);
}

void RuleGroup::EndSeries(int64_t now_ms) {
  AppendBatch batch;
  for (const auto& rule : rules_) {
    if (!rule) continue;
    for (const Labels& labels : rule->series) {
      if (const auto id = world_->store->InternSeries(labels, {})) batch.samples.push_back({*id, now_ms, StaleMarker()});
    }
  }
  if (auto written = Write(std::move(batch)); !written) spdlog::warn("rules: {}", written.error().message);
}

GroupView RuleGroup::View() const {
  GroupView view{spec_.file, spec_.name, interval_ms(), spec_.limit, evaluated_at_ms_, evaluation_seconds_, {}};
  for (const auto& rule : rules_) {
    RuleView each;
    each.spec = rule->spec;
    for (const auto& [labels, alert] : rule->active) {
      if (alert.state == AlertState::kInactive) continue;
      each.state = std::max(each.state, alert.state);
      each.alerts.push_back(alert);
    }
    each.last_error = rule->last_error;
    each.evaluated_at_ms = rule->evaluated_at_ms;
    each.evaluation_seconds = rule->evaluation_seconds;
    view.rules.push_back(std::move(each));
  }
  return view;
}

}  // namespace faultline::alerts
