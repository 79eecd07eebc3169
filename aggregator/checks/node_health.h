// The health of one node: its rules, the conditions they make, and what changed lately. Pure; the
// clock is an argument.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "aggregator/checks/verdict.h"
#include "faultline/v1/health.pb.h"

namespace faultline {

std::string_view VerdictName(v1::CheckVerdict verdict);   // ok, problem, not_applicable …
std::string_view LevelName(v1::CheckLevel level);         // info, warning, critical, fatal
std::string_view StatusName(v1::ConditionStatus status);  // True, False, Unknown

class NodeHealth {
 public:
  explicit NodeHealth(std::string node) : node_(std::move(node)) {}
  static NodeHealth FromMemory(const v1::NodeHealthMemory& memory);
  v1::NodeHealthMemory ToMemory(int64_t now_unix_ns) const;

  // What came of something: conditions that changed, rules to run again, a temporary problem.
  struct Outcome {
    std::vector<v1::HealthChange> changes;
    std::string look_again;  // rule
    bool event = false;      // the result is of something that happened
  };
  Outcome Take(const v1::CheckResult& result, int64_t now_unix_ns, const VerdictOptions& options);
  Outcome Confirm(const std::string& rule, int64_t now_unix_ns);
  Outcome Tick(int64_t now_unix_ns, const VerdictOptions& options);
  // The rules that the node has; the others are forgotten, and what they said with them.
  // Those heard of since `asked_unix_ns`, when it told them, stay.
  Outcome KeepRules(const std::vector<std::string>& rules, int64_t asked_unix_ns,
                    int64_t now_unix_ns);
  // Boot, kernel, driver …: changes of those that people care about are changes of the node.
  Outcome TakeFacts(const std::string& boot_id, const std::map<std::string, std::string>& facts,
                    int64_t now_unix_ns);
  Outcome SetReady(bool up, int64_t now_unix_ns);

  const std::string& node() const { return node_; }
  const std::map<std::string, v1::RuleMemory>& rules() const { return rules_; }
  const std::map<std::string, v1::Condition>& conditions() const { return conditions_; }
  const std::vector<v1::HealthChange>& changes() const { return changes_; }
  const std::map<std::string, std::string>& facts() const { return facts_; }
  int64_t first_result_unix_ns() const { return first_result_unix_ns_; }
  uint64_t events() const { return events_; }
  uint64_t refused_rules() const { return refused_rules_; }  // beyond the limit of rules per node

 private:
  void Judge(const std::string& type, int64_t now_unix_ns, Outcome& outcome);
  void SetCondition(v1::Condition next, int64_t now_unix_ns, Outcome& outcome);
  void AddChange(v1::HealthChange change, Outcome& outcome);

  std::string node_;
  std::string boot_id_;
  std::map<std::string, std::string> facts_;
  std::map<std::string, v1::RuleMemory> rules_;
  std::map<std::string, v1::Condition> conditions_;
  std::vector<v1::HealthChange> changes_;
  int64_t first_result_unix_ns_ = 0;
  uint64_t events_ = 0;
  uint64_t refused_rules_ = 0;
};

}  // namespace faultline
