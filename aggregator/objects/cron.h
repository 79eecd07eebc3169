// Cron expressions: five fields (minute hour day-of-month month day-of-week) or six with seconds
// first,
// @hourly @daily @midnight @weekly @monthly @yearly @annually, and @every DURATION. UTC. Lists,
// ranges, steps, names of months and days; day-of-month and day-of-week are alternatives when both
// are given.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "common/result.h"

namespace faultline {

class CronExpression {
 public:
  static Result<CronExpression> Parse(std::string_view text);

  // The first time after `unix_ns`; nullopt when there is none within five years (30 February).
  // @every counts from `unix_ns`.
  std::optional<int64_t> After(int64_t unix_ns) const;

 private:
  int64_t every_ns_ = 0;
  uint64_t seconds_ = 1;
  uint64_t minutes_ = 0;
  uint64_t hours_ = 0;
  uint64_t days_ = 0;
  uint64_t months_ = 0;
  uint64_t weekdays_ = 0;
  bool any_day_ = false;
  bool any_weekday_ = false;
};

}  // namespace faultline
