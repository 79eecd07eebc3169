#include "aggregator/objects/cron.h"

#include <array>
#include <chrono>
#include <string>
#include <vector>

#include "common/clock.h"
#include "common/text.h"

namespace faultline {
namespace {

struct Field {
  std::string_view name;
  int64_t min;
  int64_t max;
  std::string_view words;  // names in the order of their numbers, three letters each
};

constexpr Field kFields[] = {
    {"second", 0, 59, ""},
    {"minute", 0, 59, ""},
    {"hour", 0, 23, ""},
    {"day of month", 1, 31, ""},
    {"month", 1, 12, "janfebmaraprmayjunjulaugsepoctnovdec"},
    {"day of week", 0, 7, "sunmontuewedthufrisat"},
};

constexpr std::pair<std::string_view, std::string_view> kDescriptors[] = {
    {"@yearly", "0 0 1 1 *"}, {"@annually", "0 0 1 1 *"}, {"@monthly", "0 0 1 * *"},
    {"@weekly", "0 0 * * 0"}, {"@daily", "0 0 * * *"},    {"@midnight", "0 0 * * *"},
    {"@hourly", "0 * * * *"}};

std::optional<int64_t> Number(std::string_view text, const Field& field) {
  if (const auto number = ParseInt(text)) return number;
  std::string lower(text);
  for (char& c : lower) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
  if (lower.size() != 3 || field.words.empty()) return std::nullopt;
  const size_t at = field.words.find(lower);
  if (at == std::string_view::npos || at % 3 != 0) return std::nullopt;
  return static_cast<int64_t>(at / 3) + field.min;
}

Result<uint64_t> ReadField(std::string_view text, const Field& field) {
  uint64_t bits = 0;
  for (const std::string_view part : Split(text, ',')) {
    const auto bad = [&]() {
      return Fail(ErrorCode::kInvalidArgument, "'{}' is no {}", part, field.name);
    };
    const size_t slash = part.find('/');
    int64_t step = 1;
    if (slash != std::string_view::npos) {
      const auto number = ParseInt(part.substr(slash + 1));
      if (!number || *number < 1 || *number > 60) return bad();
      step = *number;
    }
    const std::string_view range = part.substr(0, slash);
    int64_t first = field.min;
    int64_t last = field.max;
    if (range != "*" && range != "?") {
      const size_t dash = range.find('-');
      const auto low = Number(range.substr(0, dash), field);
      const auto high =
          dash == std::string_view::npos ? low : Number(range.substr(dash + 1), field);
      if (!low || !high) return bad();
      first = *low;
      last = dash == std::string_view::npos && slash != std::string_view::npos ? field.max : *high;
    }
    if (first < field.min || last > field.max || first > last) return bad();
    for (int64_t i = first; i <= last; i += step) bits |= uint64_t{1} << i;
  }
  return bits;
}

bool Has(uint64_t bits, unsigned at) { return (bits >> at & 1) != 0; }

}  // namespace

Result<CronExpression> CronExpression::Parse(std::string_view text) {
  text = Trim(text);
  if (text.starts_with("TZ=") || text.starts_with("CRON_TZ=")) {
    std::string_view rest = text;
    const std::string_view zone = NextWord(rest);
    if (!zone.ends_with("=UTC") && !zone.ends_with("=Etc/UTC"))
      return Fail(ErrorCode::kInvalidArgument, "'{}' cannot be honoured: times are UTC", zone);
    text = Trim(rest);
  }
  CronExpression cron;
  if (text.starts_with("@every ")) {
    const auto every = ParseDurationNs(Trim(text.substr(7)));
    if (!every || *every < kNsPerSecond)
      return Fail(ErrorCode::kInvalidArgument, "'{}': expected a duration of a second or more",
                  text);
    cron.every_ns_ = *every / kNsPerSecond * kNsPerSecond;
    return cron;
  }
  if (text.starts_with("@")) {
    for (const auto& [name, fields] : kDescriptors) {
      if (name == text) return Parse(fields);
    }
    return Fail(ErrorCode::kInvalidArgument, "'{}' is not known", text);
  }
  std::vector<std::string_view> words;
  while (true) {
    const std::string_view word = NextWord(text);
    if (word.empty()) break;
    words.push_back(word);
  }
  if (words.size() != 5 && words.size() != 6)
    return Fail(ErrorCode::kInvalidArgument, "expected five or six fields, got {}", words.size());
  if (words.size() == 5) words.insert(words.begin(), "0");
  uint64_t* const bits[] = {&cron.seconds_, &cron.minutes_, &cron.hours_,
                            &cron.days_,    &cron.months_,  &cron.weekdays_};
  for (size_t i = 0; i < 6; ++i) {
    FAULTLINE_ASSIGN(*bits[i], ReadField(words[i], kFields[i]));
  }
  if (Has(cron.weekdays_, 7)) cron.weekdays_ |= 1;
  cron.any_day_ = words[3].starts_with('*') || words[3] == "?";
  cron.any_weekday_ = words[5].starts_with('*') || words[5] == "?";
  return cron;
}

std::optional<int64_t> CronExpression::After(int64_t unix_ns) const {
  namespace chrono = std::chrono;
  if (every_ns_ > 0) return unix_ns + every_ns_;
  const chrono::sys_seconds from{chrono::seconds(unix_ns / kNsPerSecond + 1)};
  chrono::sys_days day = chrono::floor<chrono::days>(from);
  for (int i = 0; i < 5 * 366; ++i, day += chrono::days(1)) {
    const chrono::year_month_day date(day);
    const unsigned week = chrono::weekday(day).c_encoding();
    const bool day_fits = Has(days_, static_cast<unsigned>(date.day()));
    const bool week_fits = Has(weekdays_, week);
    const bool fits = any_day_ || any_weekday_ ? day_fits && week_fits : day_fits || week_fits;
    if (!Has(months_, static_cast<unsigned>(date.month())) || !fits) continue;
    const int64_t first = day > from ? 0 : (from - day).count();
    for (int64_t second = first; second < 86400; ++second) {
      const auto hour = static_cast<unsigned>(second / 3600);
      if (!Has(hours_, hour)) {
        second = (second / 3600 + 1) * 3600 - 1;
        continue;
      }
      if (!Has(minutes_, static_cast<unsigned>(second / 60 % 60))) {
        second = (second / 60 + 1) * 60 - 1;
        continue;
      }
      if (Has(seconds_, static_cast<unsigned>(second % 60)))
        return (chrono::sys_seconds(day) + chrono::seconds(second)).time_since_epoch().count() *
               kNsPerSecond;
    }
  }
  return std::nullopt;
}

}  // namespace faultline
