#include "common/loopback.h"

#include <gtest/gtest.h>

namespace faultline {
namespace {

TEST(LoopbackTest, OfThisMachineOnly) {
  for (const char* own : {"127.0.0.1:8712", "127.8.9.1", "localhost:1", "localhost", "[::1]:80"})
    EXPECT_TRUE(IsLoopback(own)) << own;
  for (const char* other :
       {"127.example.org:80", "127.0.0.1.example.org", "0.0.0.0:1", "10.0.0.1:1", "[::]:1", "[::1",
        "localhost.example.org", "", "127.0.0.1@example.org"})
    EXPECT_FALSE(IsLoopback(other)) << other;
}

}  // namespace
}  // namespace faultline
