// What log lines said about this node: events, of which equal ones within a second are one result
// with a count, and conditions. A condition is set by a matching line, told again with every
// interval, and ends when no line matched for so long, or when something that clears it matches.
// Its state is text that can be kept over a restart.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "agent/checks/rule.h"

namespace faultline {

class LogConditions {
 public:
  using Emit = std::function<void(v1::CheckResult)>;
  LogConditions(int64_t expire_ns, int64_t interval_ns, Emit emit);

  // Conditions of monitors that are gone end; those that stay keep their state.
  void SetMonitors(std::span<const LogMonitor> monitors, int64_t now_unix_ns);
  void Match(const LogMonitor& monitor, const LogRule& rule, std::string_view text,
             int64_t line_unix_ns, int64_t now_unix_ns);
  // Tells what is due: counts of events, conditions again, ends. Returns when it wants to be called
  // again.
  int64_t Step(int64_t now_unix_ns);
  // Tells every condition that matches now (RunChecks).
  void TellAll(const std::function<bool(const v1::CheckResult&)>& wanted, const Emit& emit,
               int64_t now_unix_ns) const;

  // True once after something changed that should be kept.
  bool TakeChanged();
  std::string Save() const;
  void Restore(std::string_view text);
  // For the listing: each condition as its last result.
  std::vector<v1::CheckResult> States() const;

 private:
  struct Condition {
    LogCondition normal;
    std::string source;
    std::string contract;
    v1::CheckResult problem;  // set: verdict problem
    int64_t last_match_unix_ns = 0;
    int64_t told_unix_ns = 0;
    int64_t since_unix_ns = 0;
    bool is_problem = false;
  };
  struct EventCount {
    v1::CheckResult result;
    uint64_t count = 0;
    int64_t open_until_unix_ns = 0;
  };

  v1::CheckResult Describe(const std::string& key, const Condition& condition,
                           int64_t now_unix_ns) const;
  void Tell(const std::string& key, Condition& condition, int64_t now_unix_ns);

  const int64_t expire_ns_;
  const int64_t interval_ns_;
  const Emit emit_;
  std::map<std::string, Condition> conditions_;  // by source/type
  std::map<std::string, EventCount> events_;     // by rule
  bool changed_ = false;
};

}  // namespace faultline
