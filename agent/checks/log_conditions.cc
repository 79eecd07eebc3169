#include "agent/checks/log_conditions.h"

#include <algorithm>

#include "agent/checks/contracts/contract.h"
#include "faultline/v1/control.pb.h"

namespace faultline {
namespace {

constexpr int64_t kFoldNs = kNsPerSecond;
constexpr size_t kMaxMessageBytes = 1024;

std::string KeyOf(const std::string& source, const std::string& type) {
  return source + "/condition/" + type;
}

}  // namespace

LogConditions::LogConditions(int64_t expire_ns, int64_t interval_ns, Emit emit)
    : expire_ns_(expire_ns), interval_ns_(interval_ns), emit_(std::move(emit)) {}

void LogConditions::SetMonitors(std::span<const LogMonitor> monitors, int64_t now_unix_ns) {
  std::map<std::string, Condition> fresh;
  for (const LogMonitor& monitor : monitors) {
    for (const LogCondition& normal : monitor.conditions) {
      const std::string key = KeyOf(monitor.contract + "/" + monitor.source, normal.type);
      Condition& condition = fresh[key];
      if (const auto old = conditions_.find(key); old != conditions_.end()) condition = old->second;
      condition.normal = normal;
      condition.source = monitor.source;
      condition.contract = monitor.contract;
    }
  }
  conditions_ = std::move(fresh);
  for (auto& [key, condition] : conditions_) Tell(key, condition, now_unix_ns);
}

v1::CheckResult LogConditions::Describe(const std::string& key, const Condition& condition,
                                        int64_t now_unix_ns) const {
  v1::CheckResult result;
  if (condition.is_problem) result = condition.problem;
  result.set_rule(key);
  result.set_contract(condition.contract);
  result.set_module(condition.source);
  result.set_item(condition.normal.type);
  result.set_condition(condition.normal.type);
  result.set_kind(v1::CHECK_KIND_CONDITION);
  result.set_started_unix_ns(now_unix_ns);
  result.set_last_success_unix_ns(now_unix_ns);
  result.set_interval_ms(interval_ns_ / kNsPerMs);
  if (!condition.is_problem) {
    result.set_reason(condition.normal.reason);
    result.set_message(condition.normal.message);
    result.set_verdict(v1::CHECK_VERDICT_OK);
    if (result.level() == v1::CHECK_LEVEL_UNSPECIFIED) result.set_level(v1::CHECK_LEVEL_CRITICAL);
  }
  return result;
}

void LogConditions::Tell(const std::string& key, Condition& condition, int64_t now_unix_ns) {
  condition.told_unix_ns = now_unix_ns;
  emit_(Describe(key, condition, now_unix_ns));
}

void LogConditions::Match(const LogMonitor& monitor, const LogRule& rule, std::string_view text,
                          int64_t line_unix_ns, int64_t now_unix_ns) {
  v1::CheckResult result;
  result.set_rule(rule.rule);
  result.set_contract(monitor.contract);
  result.set_module(rule.module);
  result.set_item(rule.reason);
  result.set_reason(rule.reason);
  result.set_condition(rule.condition.empty() ? rule.reason : rule.condition);
  result.set_verdict(v1::CHECK_VERDICT_PROBLEM);
  result.set_level(rule.level);
  result.set_kind(rule.kind);
  result.set_suggestion(rule.suggestion);
  result.set_message(OneLine(text, kMaxMessageBytes) + rule.message_suffix);
  result.set_started_unix_ns(line_unix_ns);
  if (rule.kind == v1::CHECK_KIND_EVENT) {
    EventCount& event = events_[rule.rule];
    if (now_unix_ns < event.open_until_unix_ns) {
      ++event.count;
      event.result = std::move(result);
      return;
    }
    event.open_until_unix_ns = now_unix_ns + kFoldNs;
    result.set_count(1);
    changed_ = true;
    return emit_(std::move(result));
  }
  const std::string key = KeyOf(monitor.contract + "/" + monitor.source, rule.condition);
  const auto at = conditions_.find(key);
  if (at == conditions_.end()) return;
  Condition& condition = at->second;
  condition.last_match_unix_ns = std::max(condition.last_match_unix_ns, line_unix_ns);
  const bool known = condition.is_problem && condition.problem.reason() == rule.reason;
  if (!known) condition.since_unix_ns = line_unix_ns;
  condition.is_problem = true;
  condition.problem = std::move(result);
  if (known) return;
  changed_ = true;
  Tell(key, condition, now_unix_ns);
}

int64_t LogConditions::Step(int64_t now_unix_ns) {
  int64_t next = now_unix_ns + interval_ns_;
  for (auto& [rule, event] : events_) {
    if (event.count == 0) continue;
    if (now_unix_ns >= event.open_until_unix_ns) {
      event.result.set_count(event.count);
      event.count = 0;
      event.open_until_unix_ns = now_unix_ns + kFoldNs;
      emit_(event.result);
    } else {
      next = std::min(next, event.open_until_unix_ns);
    }
  }
  for (auto& [key, condition] : conditions_) {
    if (condition.is_problem && now_unix_ns - condition.last_match_unix_ns >= expire_ns_) {
      condition.is_problem = false;
      changed_ = true;
      condition.told_unix_ns = 0;
    }
    if (now_unix_ns - condition.told_unix_ns >= interval_ns_) Tell(key, condition, now_unix_ns);
    next = std::min(next, condition.told_unix_ns + interval_ns_);
    if (condition.is_problem) next = std::min(next, condition.last_match_unix_ns + expire_ns_);
  }
  return next;
}

void LogConditions::TellAll(const std::function<bool(const v1::CheckResult&)>& wanted,
                            const Emit& emit, int64_t now_unix_ns) const {
  for (const auto& [key, condition] : conditions_) {
    v1::CheckResult result = Describe(key, condition, now_unix_ns);
    if (wanted(result)) emit(std::move(result));
  }
}

std::vector<v1::CheckResult> LogConditions::States() const {
  std::vector<v1::CheckResult> states;
  for (const auto& [key, condition] : conditions_)
    states.push_back(Describe(key, condition, condition.told_unix_ns));
  return states;
}

bool LogConditions::TakeChanged() { return std::exchange(changed_, false); }

std::string LogConditions::Save() const {
  v1::CommandReply kept;
  for (const auto& [key, condition] : conditions_) {
    if (!condition.is_problem) continue;
    v1::CheckResult* result = kept.add_checks();
    *result = condition.problem;
    result->set_rule(key);
    result->set_started_unix_ns(condition.since_unix_ns);
    result->set_last_success_unix_ns(condition.last_match_unix_ns);
  }
  return kept.SerializeAsString();
}

void LogConditions::Restore(std::string_view text) {
  v1::CommandReply kept;
  if (!kept.ParseFromArray(text.data(), static_cast<int>(text.size()))) return;
  for (const v1::CheckResult& result : kept.checks()) {
    Condition& condition = conditions_[result.rule()];
    condition.is_problem = true;
    condition.problem = result;
    condition.since_unix_ns = result.started_unix_ns();
    condition.last_match_unix_ns = result.last_success_unix_ns();
  }
}

}  // namespace faultline
