// When a schedule starts something, and what of its past it keeps. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <boost/json.hpp>

#include "common/cron.h"
#include "common/result.h"

namespace faultline {

struct ScheduleRules {
  CronSchedule cron;
  std::optional<int64_t> starting_deadline_s;
  bool allow_concurrent = false;
  size_t history_limit = 1;
};
Result<ScheduleRules> ReadScheduleRules(const boost::json::object& spec);

struct ScheduleDecision {
  std::optional<int64_t> start_unix_ns;  // the time it stands for
  int64_t last_unix_ns = 0;              // what counts as the last start from now on
  std::string message;                   // why nothing starts
};
// `last_unix_ns`: the last start, or when the schedule was made. `active`: how many of its children
// are not over.
ScheduleDecision DecideSchedule(const ScheduleRules& rules, int64_t last_unix_ns,
                                int64_t now_unix_ns, size_t active);

}  // namespace faultline
