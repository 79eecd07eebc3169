// Schedules as people write them: `minute hour day month weekday`, the same with seconds in front,
// @hourly and its kin, or `@every 90s`. UTC (TZ=UTC in front is no news, another zone is refused).
// Names (mon, jan), ranges, lists and steps; 7 is Sunday too; when both days are restricted either
// of them is enough (as cron does).
#pragma once

#include <array>
#include <bitset>
#include <cstdint>
#include <optional>
#include <string_view>

#include "common/result.h"

namespace faultline {

class CronSchedule {
 public:
  // Errors name the field and what it may hold.
  static Result<CronSchedule> Parse(std::string_view text);
  // The first moment after `unix_ns`, from which @every counts; nullopt if there is none within
  // eight years (30 February).
  std::optional<int64_t> Next(int64_t unix_ns) const;

 private:
  friend class CronParser;
  bool DayMatches(int64_t day) const;

  std::bitset<60> seconds_, minutes_;
  std::bitset<24> hours_;
  std::bitset<32> days_;     // of the month, from 1
  std::bitset<13> months_;   // from 1
  std::bitset<7> weekdays_;  // 0 = Sunday
  bool any_day_ = true;      // the field is * or ?
  bool any_weekday_ = true;
  int64_t every_ns_ = 0;  // of @every
};

}  // namespace faultline
