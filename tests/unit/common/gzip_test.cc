#include "common/gzip.h"

#include <gtest/gtest.h>

namespace faultline {
namespace {

TEST(GzipTest, RoundTripAndMembers) {
  const std::string text(100'000, 'x');
  const std::string compressed = Gzip(text);
  EXPECT_LT(compressed.size(), 1000u);
  EXPECT_EQ(*Gunzip(compressed, text.size()), text);
  EXPECT_EQ(*Gunzip(Gzip("a") + Gzip("b"), 10), "ab");
  EXPECT_EQ(*Gunzip(Gzip(""), 0), "");
}

TEST(GzipTest, BoundsAndGarbage) {
  EXPECT_EQ(Gunzip(Gzip(std::string(1001, 'x')), 1000).error().code, ErrorCode::kResourceExhausted);
  EXPECT_EQ(Gunzip("not gzip", 100).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(Gunzip(Gzip("cut short").substr(0, 12), 100).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(Gunzip("", 100).error().code, ErrorCode::kInvalidArgument);
}

}  // namespace
}  // namespace faultline
