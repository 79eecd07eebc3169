#include "common/token.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/temp_tree.h"

namespace faultline {
namespace {

TEST(TokenTest, TheFirstLineOfAFile) {
  TempTree tree;
  tree.File("token", "letmein\nsecond line\n");
  tree.File("empty", "");
  EXPECT_EQ(*ReadTokenFile("otlp.token_file", tree.root() + "/token"), "letmein");
  for (const char* name : {"/empty", "/none"}) {
    const auto read = ReadTokenFile("otlp.token_file", tree.root() + name);
    ASSERT_FALSE(read);
    EXPECT_THAT(read.error().message,
                ::testing::HasSubstr("otlp.token_file: " + tree.root() + name));
  }
}

TEST(TokenTest, SameMeansAllOfIt) {
  EXPECT_TRUE(SameToken("letmein", "letmein"));
  for (const char* other : {"", "letmei", "letmeinn", "letmeim"})
    EXPECT_FALSE(SameToken(other, "letmein")) << other;
}

}  // namespace
}  // namespace faultline
