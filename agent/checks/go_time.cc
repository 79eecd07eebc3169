#include "agent/checks/go_time.h"

#include <algorithm>
#include <cctype>
#include <ctime>

#include "common/clock.h"

namespace faultline {
namespace {

constexpr int64_t kDayNs = 24 * 3600 * kNsPerSecond;
constexpr std::string_view kMonths = "JanFebMarAprMayJunJulAugSepOctNovDec";

bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsLetter(char c) { return std::isalpha(static_cast<unsigned char>(c)) != 0; }

class Reading {
 public:
  explicit Reading(std::string_view text) : rest_(text) { fields_.tm_mday = 1; }

  bool Take(std::string_view& layout) {
    const auto is = [&](std::string_view part) {
      if (!layout.starts_with(part)) return false;
      layout.remove_prefix(part.size());
      return true;
    };
    if (is("2006"))
      return has_year_ = Number(4, 4, fields_.tm_year), fields_.tm_year -= 1900, has_year_;
    if (is("January") || is("Jan")) return Month();
    if (is("Monday") || is("Mon")) return Letters();
    if (is("MST")) return Letters();
    if (is("Z07:00") || is("-07:00") || is("Z0700") || is("-0700") || is("-07")) return Zone();
    if (is("PM") || is("pm")) return AfternoonMark();
    if (is("01")) return Number(2, 2, fields_.tm_mon) && fields_.tm_mon-- > 0;
    if (is("02")) return Number(2, 2, fields_.tm_mday);
    if (is("_2")) return SkipBlank(), Number(1, 2, fields_.tm_mday);
    if (is("03") || is("15")) return Number(1, 2, fields_.tm_hour);
    if (is("04")) return Number(2, 2, fields_.tm_min);
    if (is("05")) return Number(2, 2, fields_.tm_sec) && Fraction(layout);
    if (is("06"))
      return has_year_ = Number(2, 2, fields_.tm_year), fields_.tm_year += 100, has_year_;
    if (is("2")) return Number(1, 2, fields_.tm_mday);
    const char wanted = layout.front();
    layout.remove_prefix(1);
    if (rest_.empty() || rest_.front() != wanted) return false;
    rest_.remove_prefix(1);
    return true;
  }

  std::optional<int64_t> Result(int64_t now_unix_ns) {
    if (!rest_.empty()) return std::nullopt;
    if (afternoon_ && fields_.tm_hour < 12) fields_.tm_hour += 12;
    if (!has_year_) {
      const time_t now = now_unix_ns / kNsPerSecond;
      tm today{};
      localtime_r(&now, &today);
      fields_.tm_year = today.tm_year;
      if (Unix() > now_unix_ns + kDayNs) --fields_.tm_year;
    }
    return Unix();
  }

 private:
  int64_t Unix() const {
    tm fields = fields_;
    fields.tm_isdst = -1;
    const int64_t seconds = has_zone_ ? timegm(&fields) - offset_seconds_ : mktime(&fields);
    return seconds * kNsPerSecond + fraction_ns_;
  }
  bool Number(size_t least, size_t most, int& number) {
    size_t digits = 0;
    number = 0;
    while (digits < most && digits < rest_.size() && IsDigit(rest_[digits]))
      number = number * 10 + (rest_[digits++] - '0');
    rest_.remove_prefix(digits);
    return digits >= least;
  }
  bool Letters() {
    const size_t before = rest_.size();
    while (!rest_.empty() && IsLetter(rest_.front())) rest_.remove_prefix(1);
    return rest_.size() < before;
  }
  bool Month() {
    const size_t at = rest_.size() < 3 ? std::string_view::npos : kMonths.find(rest_.substr(0, 3));
    if (at == std::string_view::npos || at % 3 != 0) return false;
    fields_.tm_mon = static_cast<int>(at / 3);
    return Letters();
  }
  void SkipBlank() {
    if (rest_.starts_with(' ')) rest_.remove_prefix(1);
  }
  // .000, .999 or nothing in the layout: a fraction may follow the seconds in any case.
  bool Fraction(std::string_view& layout) {
    if (layout.size() > 1 && (layout[0] == '.' || layout[0] == ',') &&
        (layout[1] == '9' || layout[1] == '0')) {
      layout.remove_prefix(1);
      while (!layout.empty() && (layout[0] == '9' || layout[0] == '0')) layout.remove_prefix(1);
    }
    if (rest_.size() < 2 || (rest_[0] != '.' && rest_[0] != ',') || !IsDigit(rest_[1])) return true;
    rest_.remove_prefix(1);
    for (int64_t unit = kNsPerSecond / 10; !rest_.empty() && IsDigit(rest_.front());
         unit /= 10, rest_.remove_prefix(1))
      fraction_ns_ += unit * (rest_.front() - '0');
    return true;
  }
  bool Zone() {
    has_zone_ = true;
    if (rest_.starts_with('Z')) return rest_.remove_prefix(1), true;
    if (rest_.empty() || (rest_[0] != '+' && rest_[0] != '-')) return false;
    const int sign = rest_[0] == '-' ? -1 : 1;
    rest_.remove_prefix(1);
    int hours = 0, minutes = 0;
    if (!Number(2, 2, hours)) return false;
    if (rest_.starts_with(':')) rest_.remove_prefix(1);
    if (!rest_.empty() && IsDigit(rest_.front()) && !Number(2, 2, minutes)) return false;
    offset_seconds_ = sign * (hours * 3600 + minutes * 60);
    return true;
  }
  bool AfternoonMark() {
    if (rest_.size() < 2) return false;
    afternoon_ = rest_[0] == 'P' || rest_[0] == 'p';
    rest_.remove_prefix(2);
    return true;
  }

  std::string_view rest_;
  tm fields_{};
  int64_t fraction_ns_ = 0;
  int64_t offset_seconds_ = 0;
  bool has_year_ = false, has_zone_ = false, afternoon_ = false;
};

}  // namespace

std::optional<int64_t> ParseGoTime(std::string_view layout, std::string_view text,
                                   int64_t now_unix_ns) {
  Reading reading(text);
  while (!layout.empty()) {
    if (!reading.Take(layout)) return std::nullopt;
  }
  return reading.Result(now_unix_ns);
}

}  // namespace faultline
