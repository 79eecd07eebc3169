#include "agent/logs/text_fields.h"

#include <algorithm>
#include <cstdlib>
#include <ctime>

#include "agent/logs/severity.h"
#include "common/clock.h"
#include "common/text.h"

namespace faultline {
namespace {

constexpr size_t kMaxValueBytes = 256;

bool IsOneOf(std::string_view name, std::initializer_list<std::string_view> names) {
  return std::ranges::find(names, name) != names.end();
}

// pino and bunyan count 10 (trace) to 60 (fatal), syslog and GELF 0 (emergency) to 7 (debug).
v1::Severity SeverityOfNumber(uint64_t number) {
  if (number <= 2 || number >= 60) return v1::SEVERITY_FATAL;
  if (number == 3 || number >= 50) return v1::SEVERITY_ERROR;
  if (number == 4 || number >= 40) return v1::SEVERITY_WARN;
  if (number <= 6 || number >= 30) return v1::SEVERITY_INFO;
  return number == 7 || number >= 20 ? v1::SEVERITY_DEBUG : v1::SEVERITY_TRACE;
}

}  // namespace

void AddAttribute(LogChunk::Record& record, std::string_view name, std::string_view value) {
  if (!value.empty() && value != "-")
    record.attributes.emplace_back(name, value.substr(0, kMaxValueBytes));
}

void TakeTextField(std::string_view name, std::string_view value, LogChunk::Record& record) {
  if (IsOneOf(name, {"level", "severity", "lvl", "log.level", "loglevel", "levelname"})) {
    const auto number = ParseUint(value);
    record.severity = number ? SeverityOfNumber(*number) : SeverityOfWord(value);
  } else if (IsOneOf(name, {"time", "ts", "timestamp", "@timestamp", "t"})) {
    if (record.time_unix_ns == 0) record.time_unix_ns = TimeOfText(value).value_or(0);
  } else if (IsOneOf(name, {"trace_id", "traceId", "traceID", "trace.id"})) {
    AddAttribute(record, "trace_id", value);
  } else if (IsOneOf(name, {"span_id", "spanId", "spanID", "span.id"})) {
    AddAttribute(record, "span_id", value);
  } else if (IsOneOf(name, {"logger", "logger_name", "log.logger"})) {
    AddAttribute(record, "logger", value);
  }
}

std::optional<int64_t> TimeOfText(std::string_view text) {
  if (const auto time = ParseTime(text)) return time;
  const size_t dot = text.find('.');
  const auto whole = ParseUint(text.substr(0, dot));
  if (!whole || *whole == 0) return std::nullopt;
  const uint64_t factor = *whole < 100'000'000'000            ? 1'000'000'000
                          : *whole < 100'000'000'000'000      ? 1'000'000
                          : *whole < 100'000'000'000'000'000u ? 1'000
                                                              : 1;
  if (*whole > uint64_t{INT64_MAX} / factor - 1) return std::nullopt;
  uint64_t fraction = 0, unit = factor;
  for (const char c : dot == std::string_view::npos ? "" : text.substr(dot + 1)) {
    if (c < '0' || c > '9') return std::nullopt;
    unit /= 10;
    fraction += static_cast<uint64_t>(c - '0') * unit;
  }
  return static_cast<int64_t>(*whole * factor + fraction);
}

int MonthOf(std::string_view three_letters) {
  constexpr std::string_view kMonths = "JanFebMarAprMayJunJulAugSepOctNovDec";
  const size_t at =
      three_letters.size() == 3 ? kMonths.find(three_letters) : std::string_view::npos;
  return at == std::string_view::npos || at % 3 != 0 ? 0 : static_cast<int>(at / 3) + 1;
}

std::optional<int64_t> TimeWithoutYear(int month, int day, std::string_view clock,
                                       int64_t now_unix_ns) {
  const auto seconds = static_cast<time_t>(now_unix_ns / kNsPerSecond);
  std::tm now{};
  if (gmtime_r(&seconds, &now) == nullptr) return std::nullopt;
  std::optional<int64_t> nearest;
  for (int year = now.tm_year + 1899; year <= now.tm_year + 1901; ++year) {
    const auto time = ParseTime(fmt::format("{:04}-{:02}-{:02}T{}Z", year, month, day, clock));
    if (time && (!nearest || std::abs(*time - now_unix_ns) < std::abs(*nearest - now_unix_ns)))
      nearest = time;
  }
  return nearest;
}

}  // namespace faultline
