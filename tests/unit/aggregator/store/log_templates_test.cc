// Lines survive their columns to the byte, and a block is passed over only when no line of it has
// the needle.
#include "aggregator/store/log_templates.h"

#include <gtest/gtest.h>

#include <random>

#include "aggregator/store/log_block.h"

namespace faultline::store {
namespace {

std::vector<std::string> RandomLines(size_t count, std::mt19937_64& random) {
  static const char* const kWords[] = {"error", "GET /api", "user=", "\"id\":", "took",
                                       "ms",    "",         "\t",    "\x01",    "\n",
                                       "täst",  "[main]",   "0x",    "-",       "::"};
  std::vector<std::string> lines;
  for (size_t i = 0; i < count; ++i) {
    std::string line;
    for (size_t words = random() % 8; words > 0; --words) {
      line += kWords[random() % std::size(kWords)];
      if (random() % 2 == 0) line += std::to_string(random() % 300);
      if (random() % 3 != 0) line += ' ';
    }
    lines.push_back(std::move(line));
  }
  return lines;
}

TEST(LogTemplatesTest, LinesComeBackAndNeedlesAreNeverMissed) {
  std::mt19937_64 random(11);
  for (int round = 0; round < 60; ++round) {
    const std::vector<std::string> lines = RandomLines(random() % 200, random);
    const std::vector<std::string_view> views(lines.begin(), lines.end());
    std::string columns;
    EncodeLines(views, columns);
    LineReader reader;
    ByteReader in(columns);
    ASSERT_TRUE(reader.Open(in, lines.size()));
    EXPECT_TRUE(in.empty());
    std::string line;
    for (const std::string& expected : lines) {
      ASSERT_TRUE(reader.Next(line));
      ASSERT_EQ(line, expected);
    }
    EXPECT_FALSE(reader.Next(line));
    for (int i = 0; i < 50 && !lines.empty(); ++i) {
      const std::string& from = lines[random() % lines.size()];
      const size_t begin = from.empty() ? 0 : random() % from.size();
      const std::string needle = from.substr(begin, random() % 20);
      EXPECT_FALSE(CannotContain(columns, needle)) << needle;
    }
    EXPECT_TRUE(CannotContain(columns, "took nowhere-to-be-found"));
  }
}

TEST(LogTemplatesTest, BlocksTellTheirPatterns) {
  std::vector<LogEntry> entries;
  for (int i = 0; i < 100; ++i) {
    entries.push_back(
        {1000 + i, "user " + std::to_string(i) + " logged in", v1::SEVERITY_INFO, {}});
  }
  entries.push_back({2000, "once 1 only", v1::SEVERITY_INFO, {}});
  std::string block;
  EncodeLogBlock(entries, 3, block);
  size_t lines = 0;
  ASSERT_TRUE(VisitPatterns(block, 1010, 5000, [&](int64_t time, std::string_view text) {
    EXPECT_GE(time, 1010);
    EXPECT_EQ(PatternOf(text), "user <_> logged in");
    ++lines;
  }));
  EXPECT_EQ(lines, 90u);
  const std::string needle[] = {"user 77 logged"};
  const auto found = DecodeLogBlock(block, 0, 5000, needle);
  ASSERT_TRUE(found);
  ASSERT_EQ(found->size(), 1u);
  EXPECT_EQ(found->front().time_unix_ns, 1077);
  for (size_t cut = 0; cut < block.size(); ++cut) {
    EXPECT_FALSE(DecodeLogBlock(std::string_view(block).substr(0, cut), 0, 5000, {}));
  }
}

}  // namespace
}  // namespace faultline::store
