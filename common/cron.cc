// Next walks field by field from the largest: a month or day that does not match is skipped as a
// whole, so that the longest search is some thousand steps.
#include "common/cron.h"

#include <algorithm>
#include <chrono>
#include <string>

#include "common/clock.h"
#include "common/text.h"

namespace faultline {
namespace {

constexpr int64_t kSecondsPerDay = 86'400;
constexpr int64_t kMaxDaysAhead = 8 * 366;

constexpr std::array<std::string_view, 12> kMonths = {"jan", "feb", "mar", "apr", "may", "jun",
                                                      "jul", "aug", "sep", "oct", "nov", "dec"};
constexpr std::array<std::string_view, 7> kWeekdays = {"sun", "mon", "tue", "wed",
                                                       "thu", "fri", "sat"};

struct Field {
  std::string_view name;
  int64_t min;
  int64_t max;
};

constexpr std::pair<std::string_view, std::string_view> kWords[] = {
    {"@yearly", "0 0 1 1 *"}, {"@annually", "0 0 1 1 *"}, {"@monthly", "0 0 1 * *"},
    {"@weekly", "0 0 * * 0"}, {"@daily", "0 0 * * *"},    {"@midnight", "0 0 * * *"},
    {"@hourly", "0 * * * *"},
};

std::string Lower(std::string_view text) {
  std::string lower(text);
  std::ranges::transform(lower, lower.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return lower;
}

int64_t FloorDiv(int64_t a, int64_t b) { return a / b - (a % b < 0 ? 1 : 0); }

}  // namespace

class CronParser {
 public:
  static Result<CronSchedule> Parse(std::string_view text) {
    CronSchedule schedule;
    std::string_view rest = Trim(text);
    if (rest.starts_with("TZ=") || rest.starts_with("CRON_TZ=")) {
      const std::string_view zone = NextWord(rest);
      if (!zone.ends_with("=UTC") && !zone.ends_with("=Etc/UTC")) {
        return Fail(ErrorCode::kInvalidArgument, "'{}' cannot be honoured: times are UTC", zone);
      }
      rest = Trim(rest);
    }
    if (rest.starts_with("@every ")) {
      const auto every = ParseDurationNs(Trim(rest.substr(7)));
      if (!every || *every < kNsPerSecond) {
        return Fail(ErrorCode::kInvalidArgument,
                    "'{}': after @every comes a duration of at least 1s", text);
      }
      schedule.every_ns_ = *every;
      return schedule;
    }
    for (const auto& [word, meaning] : kWords) {
      if (Lower(rest) == word) rest = meaning;
    }
    if (rest.starts_with('@')) return Fail(ErrorCode::kInvalidArgument, "'{}' is not known", rest);
    std::vector<std::string> fields;
    for (std::string_view word = NextWord(rest); !word.empty(); word = NextWord(rest)) {
      fields.push_back(Lower(word));
    }
    if (fields.size() != 5 && fields.size() != 6) {
      return Fail(ErrorCode::kInvalidArgument,
                  "'{}' has {} fields; a schedule has five (minute hour day month weekday), or six "
                  "with seconds in front",
                  text, fields.size());
    }
    if (fields.size() == 5) fields.insert(fields.begin(), "0");
    FAULTLINE_TRY(ReadField({"second", 0, 59}, fields[0], schedule.seconds_));
    FAULTLINE_TRY(ReadField({"minute", 0, 59}, fields[1], schedule.minutes_));
    FAULTLINE_TRY(ReadField({"hour", 0, 23}, fields[2], schedule.hours_));
    FAULTLINE_TRY(ReadField({"day", 1, 31}, fields[3], schedule.days_));
    FAULTLINE_TRY(ReadField({"month", 1, 12}, fields[4], schedule.months_));
    std::bitset<8> weekdays;
    FAULTLINE_TRY(ReadField({"weekday", 0, 7}, fields[5], weekdays));
    for (size_t day = 0; day < 8; ++day) {
      if (weekdays[day]) schedule.weekdays_.set(day % 7);
    }
    schedule.any_day_ = fields[3] == "*" || fields[3] == "?";
    schedule.any_weekday_ = fields[5] == "*" || fields[5] == "?";
    return schedule;
  }

 private:
  static std::optional<int64_t> Number(const Field& field, std::string_view text) {
    if (field.name == "month" || field.name == "weekday") {
      for (size_t i = 0; field.name == "month" && i < kMonths.size(); ++i) {
        if (text == kMonths[i]) return static_cast<int64_t>(i) + 1;
      }
      for (size_t i = 0; field.name == "weekday" && i < kWeekdays.size(); ++i) {
        if (text == kWeekdays[i]) return static_cast<int64_t>(i);
      }
    }
    const auto number = ParseInt(text);
    return number && *number >= field.min && *number <= field.max ? number : std::nullopt;
  }

  template <size_t N>
  static Result<void> ReadField(const Field& field, std::string_view text, std::bitset<N>& set) {
    const auto refuse = [&](std::string_view part) {
      return Fail(ErrorCode::kInvalidArgument,
                  "{} '{}': expected numbers from {} to {}, as 5, 1-5, 1,3 or */10", field.name,
                  part, field.min, field.max);
    };
    for (const std::string_view part : Split(text, ',')) {
      const size_t slash = part.find('/');
      const std::string_view span = part.substr(0, slash);
      int64_t step = 1;
      if (slash != std::string_view::npos) {
        const auto number = ParseInt(part.substr(slash + 1));
        if (!number || *number < 1 || *number > field.max) return refuse(part);
        step = *number;
      }
      int64_t first = field.min;
      int64_t last = field.max;
      if (span != "*" && span != "?") {
        const size_t dash = span.find('-');
        const auto begin = Number(field, span.substr(0, dash));
        if (!begin) return refuse(part);
        first = *begin;
        last = slash != std::string_view::npos ? field.max : first;
        if (dash != std::string_view::npos) {
          const auto end = Number(field, span.substr(dash + 1));
          if (!end || *end < first) return refuse(part);
          last = *end;
        }
      } else if (field.name == "weekday") {
        last = 6;
      }
      for (int64_t value = first; value <= last; value += step) set.set(static_cast<size_t>(value));
    }
    return {};
  }
};

Result<CronSchedule> CronSchedule::Parse(std::string_view text) { return CronParser::Parse(text); }

bool CronSchedule::DayMatches(int64_t day) const {
  const std::chrono::sys_days date{std::chrono::days(day)};
  const std::chrono::year_month_day calendar(date);
  const bool of_month = days_[static_cast<unsigned>(calendar.day())];
  const bool of_week = weekdays_[std::chrono::weekday(date).c_encoding()];
  if (!months_[static_cast<unsigned>(calendar.month())]) return false;
  // cron's oddity: two restricted days are alternatives.
  return any_day_ || any_weekday_ ? of_month && of_week : of_month || of_week;
}

std::optional<int64_t> CronSchedule::Next(int64_t unix_ns) const {
  if (every_ns_ > 0) return unix_ns + every_ns_;
  const int64_t begin = FloorDiv(unix_ns, kNsPerSecond) + 1;
  const int64_t first_day = FloorDiv(begin, kSecondsPerDay);
  for (int64_t day = first_day; day <= first_day + kMaxDaysAhead; ++day) {
    if (!DayMatches(day)) continue;
    const int64_t from = day == first_day ? begin - day * kSecondsPerDay : 0;
    for (int64_t hour = from / 3600; hour < 24; ++hour) {
      if (!hours_[static_cast<size_t>(hour)]) continue;
      const int64_t minute_from = std::max<int64_t>(0, from - hour * 3600) / 60;
      for (int64_t minute = minute_from; minute < 60; ++minute) {
        if (!minutes_[static_cast<size_t>(minute)]) continue;
        const int64_t base = hour * 3600 + minute * 60;
        for (int64_t second = std::max<int64_t>(0, from - base); second < 60; ++second) {
          if (seconds_[static_cast<size_t>(second)]) {
            return (day * kSecondsPerDay + base + second) * kNsPerSecond;
          }
        }
      }
    }
  }
  return std::nullopt;
}

}  // namespace faultline
