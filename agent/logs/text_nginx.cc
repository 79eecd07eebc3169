// nginx and what imitates it. Access, common and combined form:
//   1.2.3.4 - user [20/Nov/2026:12:00:00 +0100] "GET /path HTTP/1.1" 502 157 "referer" "agent"
// and errors: 2026/11/20 12:00:00 [error] 29#29: *1 connect() failed …
#include <string>

#include "agent/logs/severity.h"
#include "agent/logs/text_fields.h"
#include "agent/logs/text_parser.h"
#include "common/text.h"

namespace faultline {
namespace {

// Up to the next `end`, which is taken as well. False: there is none.
bool TakeUntil(std::string_view& rest, char end, std::string_view& text) {
  const size_t at = rest.find(end);
  if (at == std::string_view::npos) return false;
  text = rest.substr(0, at);
  rest.remove_prefix(at + 1);
  return true;
}

// 20/Nov/2026:12:00:00 +0100
std::optional<int64_t> AccessTime(std::string_view text) {
  constexpr std::string_view kShape = "20/Nov/2026:12:00:00 +0100";
  if (text.size() != kShape.size()) return std::nullopt;
  const int month = MonthOf(text.substr(3, 3));
  if (month == 0) return std::nullopt;
  return ParseTime(fmt::format("{}-{:02}-{}T{}{}:{}", text.substr(7, 4), month, text.substr(0, 2),
                               text.substr(12, 8), text.substr(21, 3), text.substr(24, 2)));
}

class NginxText final : public TextParser {
 public:
  bool Parse(LogChunk::Record& record, int64_t) const override {
    return ParseAccess(record) || ParseError(record);
  }

 private:
  static bool ParseAccess(LogChunk::Record& record) {
    std::string_view rest = record.body, client, skipped, when, request, agent;
    if (!TakeUntil(rest, ' ', client) || !TakeUntil(rest, '[', skipped) ||
        !TakeUntil(rest, ']', when) || !TakeUntil(rest, '"', skipped) ||
        !TakeUntil(rest, '"', request)) {
      return false;
    }
    const auto time = AccessTime(when);
    const auto status = ParseUint(NextWord(rest));
    const auto bytes = NextWord(rest);
    if (!time || !status || *status < 100 || *status > 999) return false;
    // The referer, then the agent, both in quotes.
    if (TakeUntil(rest, '"', skipped) && TakeUntil(rest, '"', skipped) &&
        TakeUntil(rest, '"', skipped)) {
      if (!TakeUntil(rest, '"', agent)) agent = {};
    }
    const std::string_view method = NextWord(request);
    const std::string_view path = NextWord(request);
    LogChunk::Record found;
    AddAttribute(found, "client.address", client);
    AddAttribute(found, "http.request.method", method);
    AddAttribute(found, "url.path", path.substr(0, path.find('?')));
    AddAttribute(found, "http.response.status_code", std::to_string(*status));
    AddAttribute(found, "http.response.body.size", bytes);
    AddAttribute(found, "user_agent.original", agent);
    for (auto& attribute : found.attributes) record.attributes.push_back(std::move(attribute));
    record.severity = *status >= 500   ? v1::SEVERITY_ERROR
                      : *status >= 400 ? v1::SEVERITY_WARN
                                       : v1::SEVERITY_INFO;
    if (record.time_unix_ns == 0) record.time_unix_ns = *time;
    return true;
  }

  static bool ParseError(LogChunk::Record& record) {
    std::string_view rest = record.body;
    const std::string_view day = NextWord(rest), clock = NextWord(rest), level = NextWord(rest);
    if (day.size() != 10 || day[4] != '/' || day[7] != '/' || level.size() < 3 ||
        level.front() != '[' || level.back() != ']') {
      return false;
    }
    const auto time = ParseTime(
        fmt::format("{}-{}-{}T{}Z", day.substr(0, 4), day.substr(5, 2), day.substr(8), clock));
    const v1::Severity severity = SeverityOfWord(level.substr(1, level.size() - 2));
    if (!time || severity == v1::SEVERITY_UNSPECIFIED) return false;
    record.severity = severity;
    if (record.time_unix_ns == 0) record.time_unix_ns = *time;
    return true;
  }
};

}  // namespace

std::unique_ptr<TextParser> MakeNginxText() { return std::make_unique<NginxText>(); }

}  // namespace faultline
