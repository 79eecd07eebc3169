#include "agent/checks/check_schedule.h"

#include <algorithm>

namespace faultline {
namespace {

constexpr int64_t kFirstWithinNs = 5 * kNsPerSecond;

bool Same(const CheckRule& a, const CheckRule& b) {
  return a.program == b.program && a.arguments == b.arguments && a.builtin == b.builtin &&
         a.parameters == b.parameters && a.interval_ns == b.interval_ns &&
         a.timeout_ns == b.timeout_ns && a.off == b.off && a.contract == b.contract &&
         a.environment == b.environment && a.view.SerializeAsString() == b.view.SerializeAsString();
}

}  // namespace

void ScheduledRule::Keep(const v1::CheckResult& result, size_t max_results) {
  results.push_back(result);
  while (results.size() > max_results) results.pop_front();
}

v1::CheckRuleState ScheduledRule::State() const {
  v1::CheckRuleState state;
  state.set_rule(rule.rule);
  state.set_contract(rule.contract);
  state.set_module(rule.module);
  state.set_item(rule.item);
  state.set_condition(rule.condition);
  state.set_level(rule.level);
  state.set_kind(rule.kind);
  state.set_interval_ms(rule.interval_ns / kNsPerMs);
  state.set_timeout_ms(rule.timeout_ns / kNsPerMs);
  state.set_running(rule.off.empty());
  state.set_reason(rule.off);
  state.set_last_success_unix_ns(last_success_unix_ns);
  if (const CheckRow* row = FindCheck(rule.builtin); row != nullptr)
    state.set_doc(std::string(row->doc));
  if (!results.empty()) {
    state.set_last_verdict(results.back().verdict());
    state.set_last_run_unix_ns(results.back().started_unix_ns());
  }
  return state;
}

void CheckSchedule::SetNext(ScheduledRule& entry, int64_t next_ns) {
  due_.erase({entry.next_ns, &entry});
  entry.next_ns = next_ns;
  due_.insert({next_ns, &entry});
}

void CheckSchedule::Replace(const std::vector<CheckRule>& rules, int64_t now_ns) {
  std::map<std::string, std::unique_ptr<ScheduledRule>> old = std::exchange(entries_, {});
  due_.clear();
  for (const CheckRule& rule : rules) {
    auto& entry = entries_[rule.rule];
    if (const auto at = old.find(rule.rule); at != old.end() && Same(at->second->rule, rule)) {
      entry = std::move(at->second);
      entry->rule = rule;
      due_.insert({entry->next_ns, entry.get()});
      continue;
    }
    entry = std::make_unique<ScheduledRule>();
    entry->rule = rule;
    const int64_t within = std::min(rule.interval_ns, kFirstWithinNs);
    SetNext(*entry, now_ns + static_cast<int64_t>(random_() % static_cast<uint64_t>(within)));
  }
}

ScheduledRule* CheckSchedule::Due(int64_t now_ns, bool programs) {
  for (auto at = due_.begin(); at != due_.end() && at->first <= now_ns;) {
    ScheduledRule* entry = (at++)->second;
    const bool hangs = entry->stuck || entry->left_behind;
    if (!programs && !entry->rule.program.empty() && entry->run == 0) continue;
    if (entry->run == 0 || hangs) return entry;
    // Still at it: its turn is missed.
    Started(*entry, now_ns);
  }
  return nullptr;
}

void CheckSchedule::Started(ScheduledRule& entry, int64_t now_ns) {
  // Early by 5 to 15 per cent: whatever comes up is seen, and looked at again, within one interval.
  const int64_t spread = std::max<int64_t>(entry.rule.interval_ns / 10, 1);
  const int64_t early = spread / 2 + static_cast<int64_t>(random_() % static_cast<uint64_t>(spread));
  SetNext(entry, now_ns + entry.rule.interval_ns - early);
}

void CheckSchedule::RunNow(ScheduledRule& entry, int64_t now_ns) { SetNext(entry, now_ns); }

int64_t CheckSchedule::NextNs(int64_t now_ns, bool programs) const {
  int64_t next_ns = INT64_MAX;
  for (const auto& [due_ns, entry] : due_) {
    if (!programs && !entry->rule.program.empty()) continue;
    next_ns = due_ns;
    break;
  }
  for (const auto& [name, entry] : entries_) {
    if (entry->run != 0 && entry->check != nullptr && !entry->stuck)
      next_ns = std::min(next_ns, entry->deadline_ns);
  }
  return std::max(next_ns, now_ns + kNsPerMs);
}

ScheduledRule* CheckSchedule::Find(const std::string& rule) {
  const auto at = entries_.find(rule);
  return at == entries_.end() ? nullptr : at->second.get();
}

std::vector<ScheduledRule*> CheckSchedule::Running() {
  std::vector<ScheduledRule*> running;
  for (const auto& [name, entry] : entries_) {
    if (entry->run != 0) running.push_back(entry.get());
  }
  return running;
}

}  // namespace faultline
