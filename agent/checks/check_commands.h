// Commands that wait for the runs that they asked for. Each is answered once: when all its rules
// have told, or at its deadline with what there is. Not thread-safe: the engine's thread.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <set>
#include <string>

#include "agent/checks/check_schedule.h"
#include "agent/checks/log_conditions.h"
#include "common/result.h"
#include "faultline/v1/control.pb.h"

namespace faultline {

using AnswerCommand = std::function<void(v1::CommandReply)>;

v1::CommandReply Refusal(const std::string& id, const Error& error);

class CheckCommands {
 public:
  // Lets the rules that `command` selects run now; conditions of log lines are told as they stand,
  // in the answer and by `tell`, as the results of runs are. Answers at once when nothing is
  // selected.
  void Start(const v1::Command& command, AnswerCommand answer, CheckSchedule& schedule,
             const LogConditions& conditions, const LogConditions::Emit& tell, int64_t now_ns,
             int64_t now_unix_ns);
  // A result of a run that the command asked for.
  void Take(const std::string& command_id, const v1::CheckResult& result);
  // The run of `rule` is over.
  void Ended(const std::string& command_id, const std::string& rule);
  // Answers those that are complete or late; `now_ns` is steady.
  void Finish(int64_t now_ns);
  int64_t NextNs() const;  // the next deadline; INT64_MAX: none

 private:
  struct Waiting {
    std::string id;
    int64_t deadline_ns = 0;
    std::set<std::string> rules;
    v1::CommandReply reply;
    AnswerCommand answer;
  };
  std::deque<Waiting> waiting_;
};

}  // namespace faultline
