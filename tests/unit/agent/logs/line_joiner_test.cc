#include "agent/logs/line_joiner.h"

#include <gtest/gtest.h>

#include "agent/logs/redactor.h"

namespace faultline {
namespace {

using Texts = std::vector<std::string>;

Texts Join(JoinRule rule, const Texts& lines, size_t max_bytes = 10'000) {
  LineJoiner joiner(std::move(rule), max_bytes);
  Texts records;
  uint64_t offset = 0;
  for (const std::string& line : lines) {
    ParsedLine parsed{.ready = true};
    parsed.record.body = line;
    parsed.record.offset = offset;
    offset += line.size() + 1;
    if (auto ended = joiner.Feed(std::move(parsed))) records.push_back(ended->record.body);
    EXPECT_TRUE(joiner.offset());
  }
  if (auto last = joiner.Flush()) records.push_back(last->record.body);
  EXPECT_FALSE(joiner.waits());
  return records;
}

TEST(LineJoinerTest, Java) {
  EXPECT_EQ(Join(*FindJoinRule("java"),
                 {"12:00 ERROR request failed", "java.io.IOException: x", "\tat a.B.c(B.java:1)", "Caused by: y",
                  "\t... 3 more", "12:01 INFO next"}),
            (Texts{"12:00 ERROR request failed",
                   "java.io.IOException: x\n\tat a.B.c(B.java:1)\nCaused by: y\n\t... 3 more", "12:01 INFO next"}));
}

TEST(LineJoinerTest, Python) {
  EXPECT_EQ(Join(*FindJoinRule("python"),
                 {"INFO start", "ERROR failed", "Traceback (most recent call last):", "  File \"a.py\", line 1, in f",
                  "    g()", "KeyError: 'a'", "", "During handling of the above exception, another exception occurred:", "",
                  "Traceback (most recent call last):", "  File \"a.py\", line 3, in h", "ValueError: b", "INFO after"}),
            (Texts{"INFO start",
                   "ERROR failed\nTraceback (most recent call last):\n  File \"a.py\", line 1, in f\n    g()\nKeyError: 'a'\n\n"
                   "During handling of the above exception, another exception occurred:\n\nTraceback (most recent call last):\n"
                   "  File \"a.py\", line 3, in h\nValueError: b",
                   "INFO after"}));
}

TEST(LineJoinerTest, Go) {
  EXPECT_EQ(Join(*FindJoinRule("go"),
                 {"2026/11/20 start", "panic: runtime error: index out of range", "", "goroutine 1 [running]:",
                  "main.f(0x1)", "\t/src/a.go:7 +0x1d", "exit status 2", "2026/11/20 again"}),
            (Texts{"2026/11/20 start",
                   "panic: runtime error: index out of range\n\ngoroutine 1 [running]:\nmain.f(0x1)\n\t/src/a.go:7 +0x1d\n"
                   "exit status 2",
                   "2026/11/20 again"}));
}

TEST(LineJoinerTest, AnyStartPattern) {
  const auto rule = StartPatternRule(R"(^\d{4}-)");
  ASSERT_TRUE(rule);
  EXPECT_EQ(Join(*rule, {"lost beginning", "2026-11-20 a", "b", "c", "2026-11-20 d"}),
            (Texts{"lost beginning", "2026-11-20 a\nb\nc", "2026-11-20 d"}));
  EXPECT_FALSE(StartPatternRule("("));
  EXPECT_FALSE(FindJoinRule("cobol"));
}

TEST(LineJoinerTest, IsBounded) {
  const Texts records = Join(*FindJoinRule("java"), {"x", "\t" + std::string(30, 'a'), "\tb", "\tc"}, 34);
  EXPECT_EQ(records, (Texts{"x\n\t" + std::string(30, 'a'), "\tb\n\tc"}));
  EXPECT_EQ(Join(*FindJoinRule("java"), Texts(2500, "\tat")).size(), 3u);
}

TEST(RedactorTest, OverwritesInTextAndAttributes) {
  const auto redactor = Redactor::Make({{.pattern = R"(password=\S+)", .replacement = "password=***"},
                                        {.pattern = R"((\d{4})-\d{4}-\d{4}-(\d{4}))", .replacement = R"(\1-…-\2)"},
                                        {.pattern = "Bearer [A-Za-z0-9._-]+"}});
  ASSERT_TRUE(redactor) << redactor.error().message;
  LogChunk::Record record;
  record.body = "password=hunter2 card 1234-5678-9012-3456 password=x";
  record.attributes = {{"http.header", "Bearer abc.def"}, {"other", "fine"}};
  EXPECT_EQ((*redactor)->Apply(record), 4u);
  EXPECT_EQ(record.body, "password=*** card 1234-…-3456 password=***");
  EXPECT_EQ(record.attributes[0].second, "[redacted]");
  EXPECT_EQ(record.attributes[1].second, "fine");
}

TEST(RedactorTest, SaysWhatIsWrongWithARule) {
  EXPECT_FALSE(Redactor::Make({{.pattern = "("}}));
  EXPECT_FALSE(Redactor::Make({{.pattern = "x*"}}));
  EXPECT_FALSE(Redactor::Make({{.pattern = "x", .replacement = "\\2"}}));
}

}  // namespace
}  // namespace faultline
