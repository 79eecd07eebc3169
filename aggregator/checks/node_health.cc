// Several rules may feed one condition (node-problem-detector's KernelDeadlock has many): the worst
// that holds speaks.

#include "aggregator/checks/node_health.h"

#include <algorithm>
#include <array>
#include <set>

#include "aggregator/checks/priority_table.h"
#include "common/text.h"

namespace faultline {
namespace {

constexpr size_t kMaxRules = 2000;
constexpr size_t kMaxChanges = 300;
constexpr size_t kMaxMessageBytes = 2000;
constexpr size_t kMaxOutputBytes = 4096;

// Facts of which a change is news; the rest (uptime, free space …) would drown it.
constexpr std::array<std::string_view, 12> kNewsFacts = {
    "kernel", "os",       "agent_version", "cpus",       "memory_bytes", "cpu_model",
    "driver", "firmware", "hostname",      "machine_id", "microcode",    "boot_id"};

std::string Bounded(std::string text, size_t limit) {
  if (text.size() > limit) text.resize(limit);
  return ReplaceInvalidUtf8(text);
}

std::string TypeOf(const v1::CheckResult& result) {
  for (const std::string* name :
       {&result.condition(), &result.reason(), &result.item(), &result.rule()}) {
    if (!name->empty()) return *name;
  }
  return "Unnamed";
}

// How much a rule's verdict weighs among those that feed one condition.
int Weight(const v1::RuleMemory& memory) {
  if (IsBad(memory.held())) return 10 + static_cast<int>(memory.held_result().level());
  return CannotTell(memory.held()) ? 5 : memory.held() == v1::CHECK_VERDICT_OK ? 1 : 0;
}

v1::CheckLevel LevelOf(const v1::CheckResult& result) {
  const v1::CheckLevel level =
      result.level() == v1::CHECK_LEVEL_UNSPECIFIED ? v1::CHECK_LEVEL_WARNING : result.level();
  const bool degraded = result.verdict() == v1::CHECK_VERDICT_DEGRADED;
  return degraded ? std::min(level, v1::CHECK_LEVEL_WARNING) : level;
}

}  // namespace

std::string_view VerdictName(v1::CheckVerdict verdict) {
  switch (verdict) {
    case v1::CHECK_VERDICT_OK:
      return "ok";
    case v1::CHECK_VERDICT_DEGRADED:
      return "degraded";
    case v1::CHECK_VERDICT_PROBLEM:
      return "problem";
    case v1::CHECK_VERDICT_TIMEOUT:
      return "timeout";
    case v1::CHECK_VERDICT_SKIPPED:
      return "skipped";
    case v1::CHECK_VERDICT_NOT_APPLICABLE:
      return "not_applicable";
    default:
      return "unknown";
  }
}

std::string_view LevelName(v1::CheckLevel level) {
  switch (level) {
    case v1::CHECK_LEVEL_INFO:
      return "info";
    case v1::CHECK_LEVEL_CRITICAL:
      return "critical";
    case v1::CHECK_LEVEL_FATAL:
      return "fatal";
    default:
      return "warning";
  }
}

std::string_view StatusName(v1::ConditionStatus status) {
  return status == v1::CONDITION_STATUS_TRUE    ? "True"
         : status == v1::CONDITION_STATUS_FALSE ? "False"
                                                : "Unknown";
}

NodeHealth NodeHealth::FromMemory(const v1::NodeHealthMemory& memory) {
  NodeHealth health(memory.node());
  health.boot_id_ = memory.boot_id();
  health.facts_.insert(memory.facts().begin(), memory.facts().end());
  for (const v1::RuleMemory& rule : memory.rules()) health.rules_[rule.last().rule()] = rule;
  for (const v1::Condition& condition : memory.conditions())
    health.conditions_[condition.type()] = condition;
  health.changes_.assign(memory.changes().begin(), memory.changes().end());
  health.first_result_unix_ns_ = memory.first_result_unix_ns();
  health.events_ = memory.events();
  return health;
}

v1::NodeHealthMemory NodeHealth::ToMemory(int64_t now_unix_ns) const {
  v1::NodeHealthMemory memory;
  memory.set_node(node_);
  memory.set_boot_id(boot_id_);
  memory.mutable_facts()->insert(facts_.begin(), facts_.end());
  for (const auto& [name, rule] : rules_) *memory.add_rules() = rule;
  for (const auto& [type, condition] : conditions_) *memory.add_conditions() = condition;
  memory.mutable_changes()->Add(changes_.begin(), changes_.end());
  memory.set_saved_unix_ns(now_unix_ns);
  memory.set_first_result_unix_ns(first_result_unix_ns_);
  memory.set_events(events_);
  return memory;
}

NodeHealth::Outcome NodeHealth::Take(const v1::CheckResult& result, int64_t now_unix_ns,
                                     const VerdictOptions& options) {
  Outcome outcome;
  if (first_result_unix_ns_ == 0) first_result_unix_ns_ = now_unix_ns;
  if (!rules_.contains(result.rule()) && rules_.size() >= kMaxRules)
    return ++refused_rules_, outcome;
  v1::CheckResult bounded = result;
  for (std::string* text :
       {bounded.mutable_message(), bounded.mutable_expected(), bounded.mutable_current(),
        bounded.mutable_suggestion(), bounded.mutable_device()}) {
    *text = Bounded(std::move(*text), kMaxMessageBytes);
  }
  bounded.set_output(Bounded(std::move(*bounded.mutable_output()), kMaxOutputBytes));
  v1::RuleMemory& memory = rules_[result.rule()];
  if (result.kind() == v1::CHECK_KIND_EVENT) {
    // It happened: nothing to hold, nothing to clear.
    memory.set_seen_unix_ns(now_unix_ns);
    if (bounded.started_unix_ns() <= memory.newest_started_unix_ns()) return outcome;
    memory.set_newest_started_unix_ns(bounded.started_unix_ns());
    *memory.mutable_last() = std::move(bounded);
    if (IsBad(result.verdict())) {
      memory.set_runs(memory.runs() + std::max<uint64_t>(result.count(), 1));
      events_ += std::max<uint64_t>(result.count(), 1);
      outcome.event = true;
    }
    return outcome;
  }
  const std::string old_type = memory.has_last() ? TypeOf(memory.last()) : "";
  const RuleStep step = TakeResult(memory, bounded, now_unix_ns, boot_id_, options);
  if (step == RuleStep::kLookAgain) outcome.look_again = result.rule();
  Judge(TypeOf(memory.last()), now_unix_ns, outcome);
  if (!old_type.empty() && old_type != TypeOf(memory.last())) Judge(old_type, now_unix_ns, outcome);
  return outcome;
}

NodeHealth::Outcome NodeHealth::Confirm(const std::string& rule, int64_t now_unix_ns) {
  Outcome outcome;
  const auto at = rules_.find(rule);
  if (at == rules_.end() || faultline::Confirm(at->second, now_unix_ns) == RuleStep::kNothing)
    return outcome;
  Judge(TypeOf(at->second.last()), now_unix_ns, outcome);
  return outcome;
}

NodeHealth::Outcome NodeHealth::Tick(int64_t now_unix_ns, const VerdictOptions& options) {
  Outcome outcome;
  for (auto& [name, memory] : rules_) {
    if (memory.last().kind() == v1::CHECK_KIND_EVENT) continue;
    const RuleStep step = faultline::Tick(memory, now_unix_ns, boot_id_, options);
    if (step == RuleStep::kChanged) Judge(TypeOf(memory.last()), now_unix_ns, outcome);
  }
  return outcome;
}

NodeHealth::Outcome NodeHealth::KeepRules(const std::vector<std::string>& rules,
                                          int64_t asked_unix_ns, int64_t now_unix_ns) {
  Outcome outcome;
  const std::set<std::string> wanted(rules.begin(), rules.end());
  std::set<std::string> touched;
  for (auto at = rules_.begin(); at != rules_.end();) {
    if (wanted.contains(at->first) || at->second.seen_unix_ns() >= asked_unix_ns) {
      ++at;
      continue;
    }
    if (at->second.last().kind() != v1::CHECK_KIND_EVENT) touched.insert(TypeOf(at->second.last()));
    at = rules_.erase(at);
  }
  for (const std::string& type : touched) Judge(type, now_unix_ns, outcome);
  return outcome;
}

NodeHealth::Outcome NodeHealth::TakeFacts(const std::string& boot_id,
                                          const std::map<std::string, std::string>& facts,
                                          int64_t now_unix_ns) {
  Outcome outcome;
  if (!boot_id.empty()) boot_id_ = boot_id;
  for (const auto& [name, value] : facts) {
    const auto at = facts_.find(name);
    const bool news = std::ranges::find(kNewsFacts, name) != kNewsFacts.end();
    if (at != facts_.end() && at->second != value && news) {
      v1::HealthChange change;
      change.set_time_unix_ns(now_unix_ns);
      change.set_subject(name);
      change.set_is_fact(true);
      change.set_from(at->second);
      change.set_to(value);
      change.set_level(v1::CHECK_LEVEL_INFO);
      change.set_message(name == "boot_id" ? "the node has been rebooted" : "");
      AddChange(std::move(change), outcome);
    }
    facts_[name] = value;
  }
  return outcome;
}

NodeHealth::Outcome NodeHealth::SetReady(bool up, int64_t now_unix_ns) {
  Outcome outcome;
  v1::Condition next;
  next.set_type(std::string(kNodeNotReady));
  next.set_status(up ? v1::CONDITION_STATUS_FALSE : v1::CONDITION_STATUS_TRUE);
  next.set_level(v1::CHECK_LEVEL_FATAL);
  next.set_module("node");
  next.set_reason(up ? "AgentAnswers" : "AgentSilent");
  next.set_message(up ? "" : "nothing has been heard of the node's agent");
  next.set_suggestion(
      up ? "" : "see whether the machine answers; if so, the agent's log says why it does not");
  // A node that was never ready and is ready now is no news.
  if (up && !conditions_.contains(std::string(kNodeNotReady))) return outcome;
  SetCondition(std::move(next), now_unix_ns, outcome);
  return outcome;
}

void NodeHealth::Judge(const std::string& type, int64_t now_unix_ns, Outcome& outcome) {
  const v1::RuleMemory* worst = nullptr;
  bool flapping = false, suspected = false;
  std::string devices;
  for (const auto& [name, memory] : rules_) {
    if (memory.last().kind() == v1::CHECK_KIND_EVENT || TypeOf(memory.last()) != type) continue;
    flapping |= memory.flapping();
    suspected |= memory.suspected_unix_ns() != 0;
    if (worst == nullptr || Weight(memory) > Weight(*worst)) worst = &memory;
    if (IsBad(memory.held()) && !memory.held_result().device().empty()) {
      devices += (devices.empty() ? "" : ",") + memory.held_result().device();
    }
  }
  const bool applies = worst != nullptr && (Weight(*worst) > 0 || suspected);
  v1::Condition next;
  next.set_type(type);
  if (!applies) {
    const auto at = conditions_.find(type);
    if (at == conditions_.end()) return;
    next = at->second;
    next.set_status(v1::CONDITION_STATUS_FALSE);
    next.set_reason("NoLongerChecked");
    next.set_message(worst == nullptr ? "its rule was removed" : worst->last().message());
    next.clear_suspected();
    next.clear_flapping();
    SetCondition(std::move(next), now_unix_ns, outcome);
    conditions_.erase(type);
    return;
  }
  const v1::CheckResult& result = worst->held_result();
  const v1::CheckResult& about =
      worst->held() == v1::CHECK_VERDICT_UNSPECIFIED ? worst->last() : result;
  next.set_status(IsBad(worst->held())        ? v1::CONDITION_STATUS_TRUE
                  : CannotTell(worst->held()) ? v1::CONDITION_STATUS_UNKNOWN
                                              : v1::CONDITION_STATUS_FALSE);
  next.set_reason(worst->silent() ? "CheckSilent" : about.reason().empty() ? type : about.reason());
  next.set_message(about.message());
  next.set_level(LevelOf(about));
  next.set_rule(about.rule());
  next.set_module(about.module());
  next.set_item(about.item());
  next.set_device(devices.substr(0, kMaxMessageBytes));
  next.set_suggestion(about.suggestion());
  next.set_action(about.action());
  next.set_flapping(flapping);
  next.set_suspected(suspected);
  SetCondition(std::move(next), now_unix_ns, outcome);
}

void NodeHealth::SetCondition(v1::Condition next, int64_t now_unix_ns, Outcome& outcome) {
  v1::Condition& held = conditions_[next.type()];
  const bool is_new = held.type().empty();
  const v1::ConditionStatus before = is_new ? v1::CONDITION_STATUS_FALSE : held.status();
  const bool flaps = next.flapping() && !held.flapping();
  const bool settles = !next.flapping() && held.flapping();
  next.set_since_unix_ns(is_new || before != next.status() ? now_unix_ns : held.since_unix_ns());
  if (before != next.status() || flaps || settles) {
    v1::HealthChange change;
    change.set_time_unix_ns(now_unix_ns);
    change.set_subject(next.type());
    change.set_from(std::string(StatusName(before)));
    change.set_to(std::string(StatusName(next.status())));
    change.set_reason(flaps ? "Flapping" : settles ? "NoLongerFlapping" : next.reason());
    change.set_message(next.message());
    change.set_level(next.level());
    change.set_rule(next.rule());
    AddChange(std::move(change), outcome);
  }
  held = std::move(next);
}

void NodeHealth::AddChange(v1::HealthChange change, Outcome& outcome) {
  outcome.changes.push_back(change);
  changes_.push_back(std::move(change));
  if (changes_.size() > kMaxChanges) changes_.erase(changes_.begin());
}

}  // namespace faultline
