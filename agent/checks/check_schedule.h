// When each rule runs next. A rule's first run comes soon, at a place of its own within the first
// seconds; then it keeps its interval or comes some per cent early, so that nodes and rules do not
// march in step. A run that is late does not make the next one early.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "agent/checks/builtin/check.h"
#include "agent/checks/rule.h"

namespace faultline {

struct ScheduledRule {
  CheckRule rule;
  std::shared_ptr<Check> check;  // of a built-in, once made
  int64_t next_ns = 0;           // steady
  int64_t deadline_ns = 0;       // of a built-in that runs
  uint64_t run = 0;              // the one that runs or hangs
  bool stuck = false;            // a built-in that was given up
  bool left_behind = false;      // a program that hangs in the kernel
  int64_t started_unix_ns = 0;
  int64_t last_success_unix_ns = 0;
  std::string command_id;               // who asked for the next result
  std::optional<v1::CheckView> view;    // of the next run only
  std::deque<v1::CheckResult> results;  // the last ones, newest last

  void Keep(const v1::CheckResult& result, size_t max_results);
  v1::CheckRuleState State() const;
};

class CheckSchedule {
 public:
  explicit CheckSchedule(uint64_t seed) : random_(seed) {}

  // Rules that stay as they were keep their place, their state and what runs.
  void Replace(const std::vector<CheckRule>& rules, int64_t now_ns);
  // The rule that is due for longest; nullptr: none. A rule whose run goes on is not due (unless it
  // hangs). Without `programs` only built-ins are looked at.
  ScheduledRule* Due(int64_t now_ns, bool programs);
  void Started(ScheduledRule& entry, int64_t now_ns);
  void RunNow(ScheduledRule& entry, int64_t now_ns);
  int64_t NextNs(int64_t now_ns, bool programs) const;
  ScheduledRule* Find(const std::string& rule);
  std::vector<ScheduledRule*> Running();
  const std::map<std::string, std::unique_ptr<ScheduledRule>>& entries() const { return entries_; }

 private:
  void SetNext(ScheduledRule& entry, int64_t next_ns);

  std::mt19937_64 random_;
  std::map<std::string, std::unique_ptr<ScheduledRule>> entries_;
  std::set<std::pair<int64_t, ScheduledRule*>> due_;
};

}  // namespace faultline
