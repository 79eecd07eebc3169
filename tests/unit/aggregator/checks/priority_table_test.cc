#include "aggregator/checks/priority_table.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "tests/support/paths.h"

namespace faultline {
namespace {

TEST(PriorityTableTest, ReadsRowsAndRanksTheRestByLevel) {
  const auto table = PriorityTable::Parse(
      "# comment\n\nGpuLost:3:true:all\r\nDiskSlow:150:false:-\n", "priority.conf");
  ASSERT_TRUE(table) << table.error().message;
  EXPECT_EQ(table->size(), 2u);
  EXPECT_EQ(table->Of("GpuLost", v1::CHECK_LEVEL_INFO).priority, 3);
  EXPECT_TRUE(table->Of("GpuLost", v1::CHECK_LEVEL_INFO).affects_load);
  EXPECT_EQ(table->Of("DiskSlow", v1::CHECK_LEVEL_FATAL).priority, 150);
  EXPECT_EQ(table->Of("Other", v1::CHECK_LEVEL_FATAL).priority, 5);
  EXPECT_EQ(table->Of(kNodeNotReady, v1::CHECK_LEVEL_FATAL).priority, 0);
}

TEST(PriorityTableTest, OlderFilesHaveTwoFields) {
  const auto table = PriorityTable::Parse("A:2    \nB:150\n", "p.conf");
  ASSERT_TRUE(table) << table.error().message;
  EXPECT_EQ(table->Of("A", v1::CHECK_LEVEL_INFO).priority, 2);
  EXPECT_TRUE(table->Of("A", v1::CHECK_LEVEL_INFO).affects_load) << "an emergency";
  EXPECT_FALSE(table->Of("B", v1::CHECK_LEVEL_INFO).affects_load);
}

TEST(PriorityTableTest, WhatIsWrongIsNamedByFileLineAndField) {
  const auto error = [](std::string_view text) {
    return PriorityTable::Parse(text, "p.conf").error().message;
  };
  EXPECT_EQ(error("A:1:true"),
            "p.conf:1: expected Condition:Priority:AffectsLoad:DeviceIDMode, found 3 fields");
  EXPECT_EQ(error("#\nA:1000:true:-"), "p.conf:2: Priority: expected a number from 0 to 999");
  EXPECT_EQ(error("A:1:yes:-"), "p.conf:1: AffectsLoad: expected true or false");
  EXPECT_EQ(error("A:1:true:some"), "p.conf:1: DeviceIDMode: expected all, index, mask, id or -");
  EXPECT_EQ(error("<b>:1:true:-"), "p.conf:1: Condition: expected a name of letters and digits");
  EXPECT_EQ(error("A:1:true:-\nA:2:true:-"), "p.conf:2: Condition: A is there already");
}

TEST(PriorityTableTest, TheFileOfAegisIsReadUnchanged) {
  const char* corpus = std::getenv("FAULTLINE_CORPUS");
  const std::filesystem::path folder =
      std::filesystem::path(corpus != nullptr ? corpus : SourceDir() + "/../shared/data/corpus") /
      "aegis-priority/priority";
  if (!std::filesystem::exists(folder)) GTEST_SKIP() << folder << " is not here";
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    std::ifstream in(entry.path());
    const std::string text((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
    const auto table = PriorityTable::Parse(text, entry.path().string());
    ASSERT_TRUE(table) << table.error().message;
    EXPECT_EQ(table->size(), 79u);
    EXPECT_EQ(table->Of("NodeNotReady", v1::CHECK_LEVEL_FATAL).priority, 0);
    EXPECT_EQ(table->Of("GpuCheckFailed", v1::CHECK_LEVEL_FATAL).device_mode, "mask");
  }
}

}  // namespace
}  // namespace faultline
