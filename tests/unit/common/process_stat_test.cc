#include "common/process_stat.h"

#include <gtest/gtest.h>

namespace faultline {
namespace {

TEST(ProcessStat, ReadsFieldsBehindAnyName) {
  const auto stat = ParseProcessStat(
      "42 (a) (b c) R 1 42 42 0 -1 4194304 100 0 0 0 7 5 0 0 20 0 3 0 1234 8192000 99 "
      "18446744073709551615\n");
  ASSERT_TRUE(stat);
  EXPECT_EQ(stat->comm, "a) (b c");
  EXPECT_EQ(stat->state, 'R');
  EXPECT_EQ(stat->cpu_ticks, 12u);
  EXPECT_EQ(stat->threads, 3u);
  EXPECT_EQ(stat->start_ticks, 1234u);
  EXPECT_EQ(stat->resident_pages, 99u);
}

TEST(ProcessStat, RefusesWhatIsNoStat) {
  for (const std::string_view bad : {"", "42", "42 (x", "42 )x( R", "42 (x) R 1 2 3", ")", "("}) {
    EXPECT_FALSE(ParseProcessStat(bad)) << bad;
  }
}

}  // namespace
}  // namespace faultline
