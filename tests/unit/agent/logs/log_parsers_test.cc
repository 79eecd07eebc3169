// One section per parser of the catalogue: cri, docker, kmsg, plain.
#include <gtest/gtest.h>

#include "agent/logs/log_parser.h"
#include "agent/logs/severity.h"
#include "common/clock.h"

namespace faultline {
namespace {

std::unique_ptr<LogParser> Make(std::string_view name, uint32_t max_record_bytes = 1000) {
  for (const LogParserRow& row : LogParserCatalogue()) {
    if (row.name == name) return row.make(max_record_bytes);
  }
  ADD_FAILURE() << name << " is not in the catalogue";
  return nullptr;
}

ParsedLine Feed(LogParser& parser, std::string_view text, uint64_t offset = 0) {
  return parser.Feed({.text = text, .offset = offset, .end_offset = offset + text.size() + 1});
}

constexpr int64_t kNoonNs = 1'795'176'000 * kNsPerSecond;  // 2026-11-20T12:00:00Z

TEST(CriParser, ReadsFullLines) {
  const auto parser = Make("cri");
  const ParsedLine line = Feed(*parser, "2026-11-20T12:00:00.123456789Z stderr F hello  world ", 70);
  ASSERT_TRUE(line.ready);
  EXPECT_EQ(line.stream, "stderr");
  EXPECT_EQ(line.record.body, "hello  world ");
  EXPECT_EQ(line.record.time_unix_ns, kNoonNs + 123'456'789);
  EXPECT_EQ(line.record.offset, 70u);
  EXPECT_FALSE(line.malformed);
  EXPECT_EQ(Feed(*parser, "2026-11-20T13:00:00+01:00 stdout F:x a").record.time_unix_ns, kNoonNs);
  EXPECT_EQ(Feed(*parser, "2026-11-20T12:00:00Z stdout F ").record.body, "");
  EXPECT_TRUE(Feed(*parser, "2026-11-20T12:00:00Z stdout F").ready);
}

TEST(CriParser, JoinsPartialLinesPerStream) {
  const auto parser = Make("cri");
  EXPECT_FALSE(Feed(*parser, "2026-11-20T12:00:00Z stdout P a", 0).ready);
  EXPECT_FALSE(Feed(*parser, "2026-11-20T12:00:01Z stdout P b", 40).ready);
  EXPECT_EQ(parser->unfinished("stdout"), 0u);
  EXPECT_EQ(parser->unfinished("stderr"), std::nullopt);
  const ParsedLine between = Feed(*parser, "2026-11-20T12:00:02Z stderr F oops", 80);
  EXPECT_EQ(between.record.body, "oops");
  const ParsedLine joined = Feed(*parser, "2026-11-20T12:00:03Z stdout F c", 120);
  EXPECT_EQ(joined.record.body, "abc");
  EXPECT_EQ(joined.record.offset, 0u);
  EXPECT_EQ(joined.record.time_unix_ns, kNoonNs);
  EXPECT_EQ(parser->unfinished("stdout"), std::nullopt);
}

TEST(CriParser, BoundsJoinedRecords) {
  const auto parser = Make("cri", 5);
  Feed(*parser, "2026-11-20T12:00:00Z stdout P abcd");
  Feed(*parser, "2026-11-20T12:00:00Z stdout P efgh");
  const ParsedLine joined = Feed(*parser, "2026-11-20T12:00:00Z stdout F ij");
  EXPECT_EQ(joined.record.body, "abcde");
  EXPECT_EQ(joined.cut_bytes, 5u);
  EXPECT_EQ(Feed(*parser, "2026-11-20T12:00:00Z stdout F x").record.body, "x");
}

TEST(CriParser, FlushesWhatIsUnfinished) {
  const auto parser = Make("cri");
  Feed(*parser, "2026-11-20T12:00:00Z stdout P a");
  const auto last = parser->Flush();
  ASSERT_EQ(last.size(), 1u);
  EXPECT_EQ(last[0].record.body, "a");
  EXPECT_TRUE(parser->Flush().empty());
}

TEST(CriParser, KeepsMalformedLinesAsTheyStand) {
  const auto parser = Make("cri");
  for (const std::string_view text :
       {"", "hello", "2026-11-20T12:00:00Z", "2026-11-20T12:00:00Z stdin F x", "2026-11-20T12:00:00Z stdout Q x",
        "2026-13-20T12:00:00Z stdout F x"}) {
    const ParsedLine line = Feed(*parser, text);
    EXPECT_TRUE(line.ready && line.malformed) << text;
    EXPECT_EQ(line.record.body, text);
  }
}

TEST(DockerParser, ReadsLines) {
  const auto parser = Make("docker");
  const ParsedLine line = Feed(
      *parser, R"({"log":"a \"b\" \u00e9 \ud83d\ude00 \u003c\n","stream":"stderr","time":"2026-11-20T12:00:00Z"})", 9);
  ASSERT_TRUE(line.ready);
  EXPECT_FALSE(line.malformed);
  EXPECT_EQ(line.record.body, "a \"b\" \xC3\xA9 \xF0\x9F\x98\x80 <");
  EXPECT_EQ(line.stream, "stderr");
  EXPECT_EQ(line.record.time_unix_ns, kNoonNs);
  EXPECT_EQ(line.record.offset, 9u);
}

TEST(DockerParser, JoinsTextsWithoutNewline) {
  const auto parser = Make("docker");
  EXPECT_FALSE(Feed(*parser, R"({"log":"ab","stream":"stdout","time":"2026-11-20T12:00:00Z"})", 0).ready);
  EXPECT_EQ(parser->unfinished("stdout"), 0u);
  EXPECT_EQ(Feed(*parser, R"({"log":"cd\n","stream":"stdout","time":"2026-11-20T12:00:01Z"})", 70).record.body, "abcd");
}

TEST(DockerParser, SkipsUnknownMembers) {
  const auto parser = Make("docker");
  const ParsedLine line = Feed(
      *parser,
      R"({"attrs":{"a":"}","b":[1,{"c":null}],"n":-1.5e3},"x":true,"y":"\"", "log":"z\n" , "stream":"stdout"})");
  EXPECT_FALSE(line.malformed);
  EXPECT_EQ(line.record.body, "z");
  EXPECT_EQ(line.record.time_unix_ns, 0);
}

TEST(DockerParser, KeepsMalformedLinesAsTheyStand) {
  const auto parser = Make("docker");
  for (const std::string_view text :
       {"", "x", "{", "{}", R"({"log":"a)", R"({"log":"a"} x)", R"({"log":5})", R"({"log":"\q"})", R"({"log":"\ud8")",
        R"({"a":]})", R"({"stream":"stdout"})"}) {
    const ParsedLine line = Feed(*parser, text);
    EXPECT_TRUE(line.ready && line.malformed) << text;
    EXPECT_EQ(line.record.body, text);
  }
  EXPECT_EQ(Feed(*parser, R"({"log":"\ud800x\n","stream":"stdout"})").record.body, "\xEF\xBF\xBDx");
}

TEST(KmsgParser, ReadsRecords) {
  const auto parser = Make("kmsg");
  const ParsedLine line = Feed(*parser, "3,339,5140900,-;usb 1-1: gone \\x09away\n SUBSYSTEM=usb\n DEVICE=+usb:1-1\n", 339);
  EXPECT_EQ(line.record.body, "usb 1-1: gone \taway");
  EXPECT_EQ(line.record.severity, v1::SEVERITY_ERROR);
  EXPECT_EQ(line.record.time_unix_ns, 5'140'900'000);
  EXPECT_EQ(line.record.offset, 339u);
  ASSERT_EQ(line.record.attributes.size(), 2u);
  EXPECT_EQ(line.record.attributes[1], (std::pair<std::string, std::string>("DEVICE", "+usb:1-1")));
  EXPECT_EQ(Feed(*parser, "30,1,2,-,caller=T1;x").record.severity, v1::SEVERITY_INFO);
  EXPECT_EQ(Feed(*parser, "2,1,2,-;x").record.severity, v1::SEVERITY_FATAL);
}

TEST(KmsgParser, KeepsMalformedRecordsAsTheyStand) {
  const auto parser = Make("kmsg");
  for (const std::string_view text : {"", ";", "a,b,c;d", "1,2;x", "6,1,99999999999999999999,-;x"}) {
    EXPECT_TRUE(Feed(*parser, text).malformed) << text;
  }
  EXPECT_EQ(Feed(*parser, "6,1,1,-;\\x").record.body, "\\x");
}

TEST(PlainParser, TakesLinesAsTheyAre) {
  const auto parser = Make("plain", 4);
  const ParsedLine line = Feed(*parser, "abcdef", 3);
  EXPECT_EQ(line.record.body, "abcd");
  EXPECT_EQ(line.cut_bytes, 2u);
  EXPECT_EQ(line.stream, "");
  EXPECT_TRUE(Feed(*parser, "").ready);
}

TEST(Severity, IsReadWhereItIsBeyondDoubt) {
  EXPECT_EQ(SeverityOfText("E1120 12:00:00.000000       1 main.go:5] boom"), v1::SEVERITY_ERROR);
  EXPECT_EQ(SeverityOfText("ts=1 level=warn msg=x"), v1::SEVERITY_WARN);
  EXPECT_EQ(SeverityOfText(R"({"ts":1,"level":"info","msg":"an error"})"), v1::SEVERITY_INFO);
  EXPECT_EQ(SeverityOfText(R"({"severity": "ERROR"})"), v1::SEVERITY_ERROR);
  EXPECT_EQ(SeverityOfText("2026-11-20 12:00:00,123 ERROR [main] x"), v1::SEVERITY_ERROR);
  EXPECT_EQ(SeverityOfText("2026/11/20 12:00:00 [error] 31#31: x"), v1::SEVERITY_ERROR);
  EXPECT_EQ(SeverityOfText("2026-11-20T12:00:00.5Z WARN x"), v1::SEVERITY_WARN);
  EXPECT_EQ(SeverityOfText("WARNING: x"), v1::SEVERITY_WARN);
  EXPECT_EQ(SeverityOfText("Error handling is on"), v1::SEVERITY_UNSPECIFIED);
  EXPECT_EQ(SeverityOfText("no error here"), v1::SEVERITY_UNSPECIFIED);
  EXPECT_EQ(SeverityOfText("sea_level=error"), v1::SEVERITY_UNSPECIFIED);
  EXPECT_EQ(SeverityOfText(""), v1::SEVERITY_UNSPECIFIED);
}

}  // namespace
}  // namespace faultline
