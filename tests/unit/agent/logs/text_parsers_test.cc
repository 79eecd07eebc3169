#include <gtest/gtest.h>

#include <map>

#include "agent/logs/log_treatment.h"
#include "agent/logs/text_parser.h"
#include "common/clock.h"
#include "common/text.h"

namespace faultline {
namespace {

const int64_t kNow = *ParseTime("2026-11-20T12:00:00Z");

// The record as it is after `parser`; nothing: not of that format.
std::optional<LogChunk::Record> Parse(std::string_view parser, std::string_view text, int64_t time = 0) {
  for (const TextParserRow& row : TextParserCatalogue()) {
    if (row.name != parser) continue;
    LogChunk::Record record;
    record.body = text;
    record.time_unix_ns = time;
    if (!row.make()->Parse(record, kNow)) return std::nullopt;
    EXPECT_EQ(record.body, text);
    return record;
  }
  ADD_FAILURE() << "no parser " << parser;
  return std::nullopt;
}

std::string Told(const std::optional<LogChunk::Record>& record) {
  if (!record) return "none";
  std::string text = fmt::format("{} {}", static_cast<int>(record->severity),
                                 record->time_unix_ns == 0 ? "-" : FormatTime(record->time_unix_ns));
  for (const auto& [name, value] : record->attributes) text += fmt::format(" {}={}", name, value);
  return text;
}

TEST(TextParsersTest, Json) {
  EXPECT_EQ(Told(Parse("json", R"({"ts":"2026-11-20T11:00:00.5Z","level":"warn","msg":"x","trace_id":"4bf9","n":{"level":"x"}})")),
            "13 2026-11-20T11:00:00.500000000Z trace_id=4bf9");
  EXPECT_EQ(Told(Parse("json", R"({"level":50,"time":1795176000123,"msg":"pino"})")), "17 2026-11-20T12:00:00.123000000Z");
  EXPECT_EQ(Told(Parse("json", R"({"severity":"ERROR","timestamp":1795176000.25})")), "17 2026-11-20T12:00:00.250000000Z");
  EXPECT_EQ(Told(Parse("json", "{}")), "0 -");
  EXPECT_EQ(Told(Parse("json", R"({"level":"info"} trailing)")), "none");
  EXPECT_EQ(Told(Parse("json", "plain")), "none");
  EXPECT_EQ(Told(Parse("json", R"({"level":"inf)")), "none");
  EXPECT_EQ(Parse("json", R"({"ts":"2026-11-20T11:00:00Z"})", 7)->time_unix_ns, 7) << "the runtime's stamp stays";
}

TEST(TextParsersTest, Logfmt) {
  EXPECT_EQ(Told(Parse("logfmt", R"(ts=2026-11-20T11:00:00Z level=error msg="level=debug \" x" traceID=ab logger=core)")),
            "17 2026-11-20T11:00:00.000000000Z trace_id=ab logger=core");
  EXPECT_EQ(Told(Parse("logfmt", "an ordinary sentence with a=b")), "none");
  EXPECT_EQ(Told(Parse("logfmt", "level=info and then words")), "9 -");
  EXPECT_EQ(Told(Parse("logfmt", "a=\"never closed")), "none");
}

TEST(TextParsersTest, Klog) {
  EXPECT_EQ(Told(Parse("klog", "E1120 11:59:58.123456    4711 kubelet.go:1234] pod failed")),
            "17 2026-11-20T11:59:58.123456000Z thread.id=4711 code.filepath=kubelet.go code.lineno=1234");
  EXPECT_EQ(Told(Parse("klog", "I1231 23:59:59.000000 1 a.go:1] x")),
            "9 2026-12-31T23:59:59.000000000Z thread.id=1 code.filepath=a.go code.lineno=1");
  EXPECT_EQ(Told(Parse("klog", "E1120 nothing")), "none");
}

TEST(TextParsersTest, Nginx) {
  EXPECT_EQ(Told(Parse("nginx", R"(10.0.0.1 - bob [20/Nov/2026:12:00:00 +0100] "GET /a?token=x HTTP/1.1" 502 157 "http://r" "curl/8")")),
            "17 2026-11-20T11:00:00.000000000Z client.address=10.0.0.1 http.request.method=GET url.path=/a "
            "http.response.status_code=502 http.response.body.size=157 user_agent.original=curl/8");
  EXPECT_EQ(Told(Parse("nginx", R"(10.0.0.1 - - [20/Nov/2026:12:00:00 +0000] "GET / HTTP/1.1" 404 -)")),
            "13 2026-11-20T12:00:00.000000000Z client.address=10.0.0.1 http.request.method=GET url.path=/ "
            "http.response.status_code=404");
  EXPECT_EQ(Told(Parse("nginx", "2026/11/20 11:30:00 [crit] 29#29: *1 connect() failed")), "21 2026-11-20T11:30:00.000000000Z");
  EXPECT_EQ(Told(Parse("nginx", "hello")), "none");
}

TEST(TextParsersTest, Syslog) {
  EXPECT_EQ(Told(Parse("syslog", "<34>1 2026-11-20T11:00:00.003Z host.example su 77 ID47 - 'su root' failed")),
            "21 2026-11-20T11:00:00.003000000Z syslog.facility=auth host.name=host.example syslog.appname=su process.pid=77 "
            "syslog.msgid=ID47");
  EXPECT_EQ(Told(Parse("syslog", "<13>Nov 20 11:00:00 web sshd[99]: error: closed")),
            "9 2026-11-20T11:00:00.000000000Z syslog.facility=user host.name=web syslog.appname=sshd process.pid=99");
  EXPECT_EQ(Told(Parse("syslog", "Jan  2 03:04:05 web cron: ok")),
            "0 2027-01-02T03:04:05.000000000Z host.name=web syslog.appname=cron");
  EXPECT_EQ(Told(Parse("syslog", "2026-11-20T11:00:00.5+01:00 web kernel: x")),
            "0 2026-11-20T10:00:00.500000000Z host.name=web syslog.appname=kernel");
  EXPECT_EQ(Told(Parse("syslog", "<999>Nov 20 11:00:00 a b")), "none");
  EXPECT_EQ(Told(Parse("syslog", "hello world")), "none");
}

TEST(LogTreatmentsTest, RefusesWhatItCannotHonour) {
  v1::LogsConfig config;
  EXPECT_TRUE(LogTreatments::Make(config));
  config.add_formats()->set_parser("cobol");
  const auto unknown = LogTreatments::Make(config);
  ASSERT_FALSE(unknown);
  EXPECT_NE(unknown.error().message.find("logs.formats[0]: parser: `cobol` is none of json"), std::string::npos)
      << unknown.error().message;
  config.clear_formats();
  config.add_redact()->set_pattern("(");
  EXPECT_FALSE(LogTreatments::Make(config));
  config.clear_redact();
  (*config.add_exclude()->mutable_annotations())["faultline.io/exclude"] = "true";
  EXPECT_FALSE(LogTreatments::Make(config));
}

}  // namespace
}  // namespace faultline
