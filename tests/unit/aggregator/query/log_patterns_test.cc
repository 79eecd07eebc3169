#include "aggregator/query/log_patterns.h"

#include <gtest/gtest.h>

namespace faultline {
namespace {

TEST(LogPatterns, LinesThatDifferInNumbersAreOne) {
  LogPatterns patterns(10);
  for (int i = 0; i < 25; ++i) patterns.Add(i, "user u" + std::to_string(i) + " logged in after " + std::to_string(i * 3) + "ms");
  patterns.Add(3, "level=info id=77 took=3ms");
  patterns.Add(4, "level=info id=78 took=9ms");
  patterns.Add(5, "cannot open file a");
  patterns.Add(5, "cannot open file b");
  patterns.Add(5, "  ");
  const auto sorted = patterns.Sorted();
  ASSERT_EQ(sorted.size(), 3u);
  EXPECT_EQ(sorted[0].Text(), "user <_> logged in after <_>");
  EXPECT_EQ(sorted[0].counts, (std::map<int64_t, uint64_t>{{0, 10}, {10, 10}, {20, 5}}));
  EXPECT_EQ(sorted[1].Text(), "level=info id=<_> took=<_>");
  EXPECT_EQ(sorted[2].Text(), "cannot open file <_>");
}

TEST(LogPatterns, IsBounded) {
  LogPatterns patterns(1);
  for (int i = 0; i < 5000; ++i) {
    std::string word;
    for (int n = i; n > 0; n /= 26) word += static_cast<char>('a' + n % 26);
    patterns.Add(0, word + "x one");
  }
  EXPECT_EQ(patterns.Sorted().size(), 2000u);
  EXPECT_EQ(patterns.left_out(), 3000u);
}

}  // namespace
}  // namespace faultline
